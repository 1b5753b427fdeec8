package relay

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// certificateTimes tells from when until when the certificates in use are valid.
// Their names are the operator's, and few.
type certificateTimes struct {
	inUse               func() map[string]*x509.Certificate
	notBefore, notAfter *prometheus.Desc
}

func newCertificateTimes(prefix string, inUse func() map[string]*x509.Certificate) *certificateTimes {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, []string{"file"}, nil)
	}
	return &certificateTimes{
		inUse:     inUse,
		notBefore: desc("certificate_not_before_timestamp_seconds", "From when the certificate in use is valid, in seconds since 1970."),
		notAfter:  desc("certificate_not_after_timestamp_seconds", "When the certificate in use ends, in seconds since 1970."),
	}
}

// Describe implements prometheus.Collector.
func (c *certificateTimes) Describe(to chan<- *prometheus.Desc) {
	to <- c.notBefore
	to <- c.notAfter
}

// Collect implements prometheus.Collector.
func (c *certificateTimes) Collect(to chan<- prometheus.Metric) {
	leaves := c.inUse()
	for _, name := range slices.Sorted(maps.Keys(leaves)) {
		leaf, name := leaves[name], strings.ToValidUTF8(name, "�")
		to <- prometheus.MustNewConstMetric(c.notBefore, prometheus.GaugeValue, float64(leaf.NotBefore.Unix()), name)
		to <- prometheus.MustNewConstMetric(c.notAfter, prometheus.GaugeValue, float64(leaf.NotAfter.Unix()), name)
	}
}
