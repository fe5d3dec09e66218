package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"quire/internal/event"
	"quire/internal/network"
)

// Poster sends webhooks. Its zero value tries three times, with pauses of 1 and
// 5 seconds.
type Poster struct {
	Route  network.Route   // how receivers are reached
	Pauses []time.Duration // before each further try
}

// payload is the body of a webhook.
type payload struct {
	Event   string         `json:"event"` // "run", "mirror" or "repository"
	Run     *event.Run     `json:"run,omitempty"`
	Jobs    []event.Job    `json:"jobs,omitempty"`
	Before  event.RunState `json:"before,omitempty"`
	After   string         `json:"after,omitempty"`
	Link    string         `json:"link,omitempty"`
	Trouble *Trouble       `json:"trouble,omitempty"`
}

// post sends the message. The body is signed as GitHub signs its webhooks (HMAC
// SHA-256 in hex after "sha256="), so that receivers have code for it.
func (p Poster) post(ctx context.Context, to string, key []byte, m message) error {
	body, err := json.Marshal(m.payload)
	if err != nil {
		return err
	}
	pauses := p.Pauses
	if pauses == nil {
		pauses = []time.Duration{time.Second, 5 * time.Second}
	}
	for try := 0; ; try++ {
		again, err := p.try(ctx, to, key, body, m)
		if err == nil || !again || try == len(pauses) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pauses[try]):
		}
	}
}

// try posts once, and says whether a failure may pass.
func (p Poster) try(ctx context.Context, to string, key, body []byte, m message) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("malformed URL in [[notify]] webhook")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "quire")
	req.Header.Set("X-Quire-Event", m.payload.Event)
	req.Header.Set("X-Quire-Delivery", m.id) // the same for every try: receivers can drop doubles
	if len(key) > 0 {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		req.Header.Set("X-Quire-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	by, err := p.Route.Transport()
	if err != nil {
		return false, err
	}
	defer by.CloseIdleConnections()
	client := &http.Client{Transport: by, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		// The URL may carry a token in its path; url.Error would print it.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return true, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // the receiver may be a while at it
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return false, nil
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500,
		fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
}
