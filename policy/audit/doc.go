// Package audit reads what is published already, in the forms that administrators have it, and finds
// what breaks a policy.
//
//	source -> Record -> policy.Decide -> finding
//
// A source is streamed: a record is valid until the next one comes, and nothing is kept of it.
package audit
