// Package answer is what a route answers by itself: files of a folder, a
// redirect, a fixed answer.
//
// Each function answers the request and returns nil, or returns why it could
// not and has written nothing, so that one error handler writes every error
// page. What the route says about headers is set before the call and wins over
// what is set here.
package answer
