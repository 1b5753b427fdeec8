// Package field decides which header fields pass, and reads them. The relay, a share and
// the forwarder use it, so that all three agree.
//
// # Fields a client may not send
//
// Allowed decides by the kind of a field (see Kind), separately for clients of the local
// listener and for visitors of a share. Apps, frameworks and dev servers trust these fields
// because only a proxy is supposed to set them, and devproxy is that proxy. Everything else
// passes, including X-Http-Method-Override and the fields that frameworks' own clients send
// (Rsc, Next-Action, X-Nextjs-Data, X-Middleware-Prefetch, X-Inertia, Turbo-Frame,
// Hx-Request). An app that honours a method override, in a field or in a form, can therefore
// see another method than the one that a route's match.methods compared.
//
// A Proxyfile's request_headers are applied after the policy and may set any of these fields
// on purpose.
//
// # Names that servers read as others
//
// CGI (RFC 3875 section 4.1.18) and its descendants WSGI, Rack and PHP read "-" and "_" as the
// same character, and some servers read any punctuation as "_". So names are compared in
// their folded form: lower case, everything but letters and digits as "-". A name with other
// punctuation than "-" is dropped when its folded form is one that the policy controls or
// that frames and describes the message: Transfer_Encoding, Content.Length, Remote_User. Any
// other (my_header) passes.
//
// # The address of a visitor
//
// See Shown.
package field
