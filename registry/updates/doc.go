// Package updates notes what of dynamic updates was not published. This is its shape alone; what keeps it
// comes with the next commits.
package updates
