// Package held is a bounded table of what somebody asked for and what is not, or not of itself, published:
// NetBIOS registrations, DNS updates. Strangers may ask for as much as they like: each source has a limit and
// all together have one, at which the entry that was quiet for longest goes. What is parked, which is asked for by
// members of roles, has a limit of its own.
//
//	ask -> Note: new, or counted once more -> Unsaved -> the owner's journal -> Saved
//
// The table knows neither the journal nor the entries' form. It may be used from any goroutine.
package held
