package hcl

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/zclconf/go-cty/cty"
)

func (d *decoder) decodeListen(b *block) {
	if d.file.Listen.Range.File != "" {
		d.errorf(b.header, "the first is at "+place(d.file.Listen.Range), "a second listen block")
		return
	}
	listen := &d.file.Listen
	listen.Range = b.header
	listen.HTTPS = d.decodeListenAddress(b.body, "https")
	listen.HTTP = d.decodeListenAddress(b.body, "http")
	if redirect := d.boolean(b.body, "redirect"); redirect != nil {
		listen.ServePlain = !*redirect
	}
	for _, name := range sortedKeys(b.body.attrs) {
		// A port is bound before there is anything to withhold.
		if v := d.attribute(b.body.attrs[name]); v.known() && v.computed {
			detail := `write env("NAME", "8443") as it is, or use --` + name
			if name == "redirect" {
				detail = "write true or false"
			}
			d.errorf(v.at(), detail, "%s must not be computed from an environment variable", name)
		}
	}
	if _, port, err := net.SplitHostPort(":" + listen.HTTPS); err == nil && d.scope.port == 0 {
		d.scope.port, _ = strconv.Atoi(port)
	} else if _, port, err := net.SplitHostPort(listen.HTTPS); err == nil && d.scope.port == 0 {
		d.scope.port, _ = strconv.Atoi(port)
	}
}

// decodeListenAddress decodes a port, ":PORT" or "ADDRESS:PORT"; empty when it
// is absent.
func (d *decoder) decodeListenAddress(b *body, name string) string {
	v, present := d.get(b, name)
	if !present || !v.known() {
		return ""
	}
	if n, ok := integer(v.Value); ok {
		if n < 0 || n > 65535 {
			d.errorf(v.at(), "write one of 1 to 65535, or 0 for a free one", "port %d is out of range", n)
			return ""
		}
		return strconv.Itoa(n)
	}
	if v.Type() != cty.String {
		d.errorf(v.at(), `write a port like 8443, or "127.0.0.1:8443"`, "%s is an address", name)
		return ""
	}
	text := v.AsString()
	host, port := "", text
	if !allDigits.MatchString(text) {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil || !allDigits.MatchString(port) {
			d.errorf(v.at(), `write a port like 8443, or "127.0.0.1:8443"`, "%q is no address to listen on", text)
			return ""
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n > 65535 {
		d.errorf(v.at(), "write one of 1 to 65535, or 0 for a free one", "port %s is out of range", port)
		return ""
	}
	if host != "" && host != "localhost" {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
			d.errorf(v.at(), quotef("write %s", ":"+port)+": others reach it through a share", "devproxy listens on this machine's own addresses only")
			return ""
		}
	}
	return text
}

func (d *decoder) decodeDomain(attr *attribute) {
	v := d.attribute(attr)
	d.noteFlow("domain", v)
	d.file.DomainFlow = d.comesFrom(v)
	if v.IsNull() {
		return
	}
	if text, ok := d.str(v, "domain"); ok {
		d.file.Domain = d.name(text, v.at(), false)
	}
}
