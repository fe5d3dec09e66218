package config

import "testing"

func TestAuthority(t *testing.T) {
	for _, tt := range []struct {
		url, host      string
		user, password bool
	}{
		{"https://github.com/me/repo.git", "github.com", false, false},
		{"https://me:hunter2@github.com/me/repo.git", "github.com", true, true},
		{"https://me@github.com/me/repo.git", "github.com", true, false},
		{"https://me:a@b@github.com/repo.git", "github.com", true, true},
		{"ssh://git@[2001:db8::1]:2222/repo.git", "2001:db8::1", true, false},
		{"http://127.0.0.1:3000", "127.0.0.1", false, false},
		{"https://host?x=@y:z", "host", false, false},
		{"git@github.com:me/repo.git", "", false, false},
		{"/srv/git/copy.git", "", false, false},
		{"file:///srv/git/copy.git", "", false, false},
		{"", "", false, false},
	} {
		host, user, password, ok := authority(tt.url)
		if user != tt.user || password != tt.password || ok != (tt.host != "") || ok && host != tt.host {
			t.Errorf("%s: host %q, user %v, password %v, ok %v", tt.url, host, user, password, ok)
		}
	}
}
