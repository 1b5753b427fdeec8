package main

import (
	"reflect"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestBackgroundArgs: the process in the background has every flag that was given.
func TestBackgroundArgs(t *testing.T) {
	verb := func() (*cobra.Command, *upOptions) {
		cmd, opts := &cobra.Command{Use: "up"}, &upOptions{}
		addOwnUpFlags(cmd, opts)
		addUpFlags(cmd, opts)
		return cmd, opts
	}
	given, opts := verb()
	values := map[string]string{"for": "90m", "congestion": "system", readyFlag: "0"}
	given.Flags().VisitAll(func(f *pflag.Flag) {
		value := values[f.Name]
		switch {
		case f.Value.Type() == "bool":
			value = "true"
		case value == "":
			value = "a value, with = and 'quotes'"
		}
		if err := given.Flags().Set(f.Name, value); err != nil {
			t.Fatal(err)
		}
	})
	line := backgroundArgs(given.Flags(), *opts, []string{"5173"})
	started, again := verb()
	if err := started.ParseFlags(line[1:]); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if !slices.Equal(started.Flags().Args(), []string{"5173"}) || line[0] != "up" {
		t.Errorf("the arguments are %q", started.Flags().Args())
	}
	if !reflect.DeepEqual(again, opts) {
		t.Errorf("%+v\nbecame\n%+v", *opts, *again)
	}

	// What was answered on the terminal counts.
	given, opts = verb()
	if err := given.ParseFlags([]string{"-d", "--share", "--for", "2h"}); err != nil {
		t.Fatal(err)
	}
	opts.relay = "dev"
	if got, want := backgroundArgs(given.Flags(), *opts, nil), []string{"up", "--detach=true", "--share=true", "--relay=dev", "--for=2h0m0s", "--"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	opts.share, opts.relay = false, "" // declined
	if got, want := backgroundArgs(given.Flags(), *opts, nil), []string{"up", "--detach=true", "--"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
