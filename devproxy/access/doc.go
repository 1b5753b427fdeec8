// Package access answers who asks and how often: sites, lists of ranges,
// and bounded tables of limiters. The gate of a share and the middleware of a
// route ask it the same questions.
package access
