// Package control is the control API: HTTP and JSON over a Unix socket that only its owner may open,
// one handler for each verb, and the client that the command line uses.
//
//	GET  /v1/status          Status
//	GET  /v1/watch           a stream of Event, one JSON object a line
//	GET  /v1/explain?name=   Explanation
//	POST /v1/switch          registry.SwitchRequest -> registry.Moves
//	POST /v1/override/set    OverrideRequest        -> registry.Moves
//	POST /v1/override/clear  OverrideRequest        -> registry.Moves
//	POST /v1/drain           DrainRequest           -> registry.Moves
//	POST /v1/undrain         DrainRequest           -> registry.Moves
//	POST /v1/reload          -> ConfigStatus
//
// Further handlers are mounted by those who own them: netbios/wins/winsctl has those of the WINS server,
// and its part of explanations; registry/updates/updatesctl has those of dynamic updates, and theirs.
//
// An error is {"error": text} with status 400 (the request cannot be read), 409 (refused, nothing was
// changed) or 503 (the state cannot be saved or the process is stopping).
package control
