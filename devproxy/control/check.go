package control

import "time"

// ProbePath is below devproxy's own paths. There the probes of a check of the share are
// answered.
const ProbePath = "check/"

// MaxProbeUpload bounds the body of a probe, in bytes.
const MaxProbeUpload = 50 << 20

// Probe is what a probe of a check has found at the end of the tunnel.
type Probe struct {
	// Local is the host that the request was for, "shop.localhost:8443"; never empty.
	// Public is the name that the visitor used.
	Local  string    `json:"local"`
	Public string    `json:"public,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	// Bytes and SHA256 describe a body.
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Cookie is the value that arrived, SetCookie the one that was set.
	Cookie    string `json:"cookie,omitempty"`
	SetCookie string `json:"set_cookie,omitempty"`
}
