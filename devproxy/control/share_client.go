package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Share asks something of the instance's share and returns how it stands then.
// The error is a *ShareError when the instance refuses.
func (c *Client) Share(ctx context.Context, request ShareRequest) (Share, error) {
	var state Share
	text, err := json.Marshal(request)
	if err != nil {
		return state, err
	}
	status, body, err := c.send(ctx, http.MethodPost, sharePath, bytes.NewReader(text))
	if err != nil {
		return state, err
	}
	switch status {
	case http.StatusOK:
		err = json.Unmarshal(body, &state)
	case http.StatusConflict:
		refused := &ShareError{}
		if err = json.Unmarshal(body, refused); err == nil {
			return state, refused
		}
	case http.StatusNotFound:
		return state, &ShareError{"the devproxy that runs here" + c.pid() + " is an older version, which cannot share", "devproxy down, then devproxy up --share"}
	default:
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return state, fmt.Errorf("the running devproxy answered in a form this version does not know: %w; stop it with devproxy down and start it again", err)
	}
	return state, nil
}
