package main

import (
	"testing"

	"quire/mirror"
)

func TestTrustSaysWhichKeysArePinned(t *testing.T) {
	a, b := mirror.HostKey{Type: "ssh-ed25519", Fingerprint: "SHA256:a"}, mirror.HostKey{Type: "ssh-rsa", Fingerprint: "SHA256:b"}
	if got, want := pinned("h", []mirror.HostKey{a, b}, 2), "pinned every key that h shows (2)"; got != want {
		t.Errorf("%q", got)
	}
	if got, want := pinned("h", []mirror.HostKey{a}, 3), "pinned the key ssh-ed25519 SHA256:a of h, and none of the other 2"; got != want {
		t.Errorf("%q", got)
	}
}
