// Package wan joins two network namespaces with an emulated wide-area path, so
// that programs with real kernel TCP and UDP meet delay, jitter, loss, a
// bandwidth limit, a cut cable and a changed address on one machine.
//
// Each namespace has one TUN device; packets are carried between the two in
// user space, which needs root and /dev/net/tun but no kernel qdisc, that many
// kernels lack. Namespaces have names of their own, so that links of several
// tests and programs do not meet. It works on Linux only.
package wan
