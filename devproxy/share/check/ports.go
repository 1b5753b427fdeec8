package check

// ports says which tcp and udp blocks have no port at the relay. A program that connects to
// one reaches the project's own server, so the check connects to none.
func (r *run) ports() {
	for _, p := range r.Share.Ports {
		switch {
		case p.Error != "":
			r.fault("port", p.Fix, "%s: %s", p, p.Error)
		case p.Address == "":
			r.unknown("port", "devproxy share --check, in a moment", "%s: the relay has not answered yet", p)
		default:
			r.unknown("port", "", "%s: at %s; to test it, connect to it with a client", p, p.Address)
		}
	}
}
