// Package file takes claims from files: what an agent, a script or a person writes when a role moves.
//
// The data path is
//
//	follow.File -> Parse -> does it suit the role? -> registry.Claim | registry.Trouble
//
// A file holds the name of a node and nothing else, or YAML or JSON:
//
//	holder: ex1                      # or members: [ex1, ex2] for a role in mode all
//	epoch: 7
//	expires: 2026-11-22T10:00:00Z    # or lease: 10s, which counts from the file's time of writing
//
// Several bare names, one a line, are the members of a role in mode all. Blank lines and comments with
// # are allowed. Writing the file again, even with the same content, begins a lease anew.
//
// A file that cannot be understood keeps the last good word of it in force; one that is deleted says
// that nobody claims the role any more. A role with several files, one for each claimant, needs an
// epoch in each of them, because nothing else could tell the newer claim.
//
// [Source.Configure] may be called from any goroutine.
package file
