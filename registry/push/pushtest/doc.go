// Package pushtest has what the tests of drivers need: a small world whose roles move, and items of it.
package pushtest
