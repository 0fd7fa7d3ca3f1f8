// Package webhook tells a change to a web service: one POST for all roles that moved, with a notice as JSON, signed as
// Standard Webhooks (https://www.standardwebhooks.com) have it:
//
//	webhook-id: what names this state; the same for each try
//	webhook-timestamp: seconds since 1970
//	webhook-signature: "v1," and the base64 of HMAC-SHA256 over ID.TIMESTAMP.BODY
//
// The secret is read from its file for each POST, so that a new one is taken without a reload; others than its owner
// must not be able to read it. A status of 200 to 299 says that the change has arrived. Redirects are not followed, proxies
// of the environment are not used, and of what comes back little is read.
//
// A service that says Retry-After (RFC 9110, Section 10.2.3) is left alone until then, a minute at most: what is to be
// delivered meanwhile fails and says why.
package webhook
