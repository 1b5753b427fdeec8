// Package middleware is what a route puts around its answer. A request meets it
// in this order, each part only where the route asks for it:
//
//	access      allow and deny: who may not ask at all costs nothing more
//	rate_limit  before anything is compared or read; by = "user" after basic_auth
//	cors        preflights are answered here, since browsers send them without
//	            credentials; errors from further in carry the fields too, so
//	            that a script may read them
//	basic_auth  whoever is not let in learns nothing of what is kept behind it
//	max_body
//	compress    outside the cache, which keeps what the upstream sent
//	cache       so that what it has is answered without the service's faults
//	simulate    a slow or failing service, in place of the service itself
//
// Nothing here looks at paths: the route is chosen before, so no spelling of a
// path passes by.
package middleware
