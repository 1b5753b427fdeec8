package control

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShareAsksAndTells(t *testing.T) {
	asked := make(chan ShareRequest, 1)
	want := Share{
		State: ShareUp, Link: 2, URL: "https://shop.t.example.com/", Relay: "t.example.com",
		Hosts:     []SharedHost{{"shop.localhost", "https://shop.t.example.com/"}},
		NotShared: []NotShared{{"mail.shop.localhost", "share = false"}},
		Expires:   time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC),
	}
	client := answering(t, func(func()) http.Handler {
		return Handler(Verbs{Share: func(_ context.Context, r ShareRequest) (Share, error) {
			asked <- r
			return want, nil
		}})
	})
	request := ShareRequest{Op: OpStart, Hosts: []string{"shop.localhost"}, Relay: "t.example.com", For: 2 * time.Hour}
	got, err := client.Share(t.Context(), request)
	must(t, err)
	if diff := cmp.Diff(request, <-asked); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestShareRefusalKeepsItsFix(t *testing.T) {
	for _, test := range []struct {
		refusal error
		fix     string
	}{
		{&ShareError{"no relay is named", "devproxy relay login HOST"}, "devproxy relay login HOST"},
		{errors.New("no relay is named"), ""},
	} {
		client := answering(t, func(func()) http.Handler {
			return Handler(Verbs{Share: func(context.Context, ShareRequest) (Share, error) { return Share{}, test.refusal }})
		})
		_, err := client.Share(t.Context(), ShareRequest{Op: OpStart})
		var refused *ShareError
		if !errors.As(err, &refused) || refused.Text != "no relay is named" || refused.Fix != test.fix {
			t.Errorf("%v: got %#v", test.refusal, err)
		}
	}
}

func TestShareOfAnOlderVersion(t *testing.T) {
	client := answering(t, func(func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(protocolField, protocol)
			http.NotFound(w, r)
		})
	})
	_, err := client.Share(t.Context(), ShareRequest{Op: OpLook})
	var refused *ShareError
	if !errors.As(err, &refused) || !strings.Contains(refused.Fix, "devproxy up --share") {
		t.Errorf("got %v", err)
	}
}
