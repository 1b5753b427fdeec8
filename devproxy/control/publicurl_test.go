package control

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
)

// TestPublicURLs: the file has the addresses while there is a share, without the link's
// secret, for the user alone, and is gone with its instance.
func TestPublicURLs(t *testing.T) {
	in, err := Acquire(shortDir(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	shared := Share{State: ShareUp, URL: "https://shop.t.example.com/?devproxy=secret", Hosts: []SharedHost{
		{Name: "shop.localhost", URL: "https://shop.t.example.com"},
		{Name: "my-api.shop.localhost", URL: "https://api.t.example.com:8443/?devproxy=secret"},
		{Name: "*.tenant.shop.localhost", URL: "https://*.t.example.com"},
	}}
	const lines = "DEVPROXY_PUBLIC_URL=https://shop.t.example.com\nDEVPROXY_PUBLIC_URL_SHOP_LOCALHOST=https://shop.t.example.com\nDEVPROXY_PUBLIC_URL_MY_API_SHOP_LOCALHOST=https://api.t.example.com:8443\n"
	ended := shared
	ended.State = ShareEnded
	for _, step := range []struct {
		share Share
		want  string
	}{{Share{State: ShareNone}, ""}, {Share{State: ShareConnecting}, ""}, {shared, lines}, {ended, ""}} {
		if err := in.WritePublicURLs(step.share, nil); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(in.PublicURLFile())
		if err != nil || string(text) != step.want {
			t.Errorf("%s: %q, %v, want %q", step.share.State, text, err, step.want)
		}
		if info, err := os.Stat(in.PublicURLFile()); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	const callbacks = "DEVPROXY_CALLBACK_URL=https://callback-x.t.example.com:8443/auth/callback\nDEVPROXY_CALLBACK_ORIGIN=https://callback-x.t.example.com:8443\n"
	urls := []string{"https://callback-x.t.example.com:8443/auth/callback", "https://callback-x.t.example.com:8443/other"}
	for _, step := range []struct {
		share Share
		want  string
	}{{Share{State: ShareNone}, callbacks}, {shared, lines + callbacks}} { // it lasts
		if err := in.WritePublicURLs(step.share, urls); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(in.PublicURLFile()); err != nil || string(text) != step.want {
			t.Errorf("%s, with callbacks: %q, %v, want %q", step.share.State, text, err, step.want)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(in.PublicURLFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file outlives its instance: %v", err)
	}
}
