package agent

import "context"

// Enrol connects once and leaves: the relay knows the key then, if the claim
// has a token that is valid, or it knew it already. A running agent with the
// same key would be replaced. The error is an *Error, or ctx's.
func Enrol(ctx context.Context, opts Options) error {
	opts.Claim.Hosts = nil
	a := New(opts)
	defer a.Close()
	if a.fault != nil {
		return a.fault
	}
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	s.Close(nil)
	a.running.Wait()
	return nil
}
