package config

import "testing"

func TestAuthority(t *testing.T) {
	for _, tt := range []struct {
		url, host string
		password  bool
	}{
		{"https://github.com/me/repo.git", "github.com", false},
		{"https://me:hunter2@github.com/me/repo.git", "github.com", true},
		{"https://me@github.com/me/repo.git", "github.com", false},
		{"https://me:a@b@github.com/repo.git", "github.com", true},
		{"ssh://git@[2001:db8::1]:2222/repo.git", "2001:db8::1", false},
		{"http://127.0.0.1:3000", "127.0.0.1", false},
		{"https://host?x=@y:z", "host", false},
		{"git@github.com:me/repo.git", "", false},
		{"/srv/git/copy.git", "", false},
		{"file:///srv/git/copy.git", "", false},
		{"", "", false},
	} {
		host, password, ok := authority(tt.url)
		if password != tt.password || ok != (tt.host != "") || ok && host != tt.host {
			t.Errorf("%s: host %q, password %v, ok %v", tt.url, host, password, ok)
		}
	}
}
