// Package tsig reads the keys of transaction signatures (RFC 8945) from files and signs messages with them.
package tsig
