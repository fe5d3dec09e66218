package mirror

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// credential is what a secret's value turned out to be.
type credential struct {
	header string // "Authorization: Basic …", for HTTP
	key    string // PEM, for SSH
	token  string // what header was made of, for the forge's API
	app    *app   // GitHub App; its header is minted
	values []string
}

var headerShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*:[ \t]`)

// parseCredential tells by the value's look (docs/mirroring.md, "Secrets") and
// says, without showing any of it, what does not fit the remote.
func parseCredential(value string, to remote, forge string) (credential, error) {
	c := credential{values: []string{value}}
	text := strings.TrimSpace(value)
	switch {
	case text == "" && value != "":
		return c, fmt.Errorf("the secret is blank")
	case text == "":
		return c, nil
	case strings.HasPrefix(text, "github-app "):
		a, err := parseApp(text)
		if err != nil {
			return c, err
		}
		if to.kind != "http" {
			return c, fmt.Errorf("a GitHub App's credential serves https URLs, and this is %s", to.kind)
		}
		c.app = a
	case strings.HasPrefix(text, "-----BEGIN "):
		if to.kind == "http" {
			return c, fmt.Errorf("the secret is a private key, which serves ssh URLs; for https give a token, a header line, or for a GitHub App the line \"github-app ID\" above the key")
		}
		c.key = text + "\n"
	case strings.ContainsAny(text, "\r\n"):
		return c, fmt.Errorf("the secret has several lines and is no private key in PEM; want a token, one header line, or a key")
	case headerShape.MatchString(text):
		c.header = text
		c.token = tokenOf(text)
	default:
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return c, fmt.Errorf("the secret holds control characters, which no token has")
		}
		c.token = text
		c.header = basic(userFor(to, forge), text)
	}
	if c.header != "" {
		c.remember(c.header)
	}
	if c.key == "" && to.kind == "ssh" {
		return c, fmt.Errorf("the secret is no private key in PEM, and ssh takes nothing else: give the key (as ssh-keygen writes it), or mirror to an https URL")
	}
	return c, nil
}

// credential is what the request's secret is, ready for use.
func (d *delivery) credential(ctx context.Context) (credential, error) {
	value := d.req.Credential.Reveal()
	var raw string // what value is made of, if by a recipe
	if d.req.Resolve != nil {
		v, err := d.req.Resolve(ctx)
		if err != nil {
			return credential{}, &unfetchedError{err}
		}
		value = v.Reveal()
		if recipe := d.req.Target.Auth; recipe != "" {
			raw = value
			if value, err = follow(recipe, raw); err != nil {
				return credential{}, err
			}
		}
	}
	c, err := parseCredential(value, d.to, kindOf(d.req.Target, d.to))
	if raw != "" {
		c.values = append(c.values, strings.TrimSpace(raw))
	}
	if err != nil {
		return c, err
	}
	return d.mint(ctx, c)
}

// unfetchedError is a secret that could not be had this time.
type unfetchedError struct{ error }

func (e *unfetchedError) Unwrap() error { return e.error }

// remember notes what must not appear in a message.
func (c *credential) remember(header string) {
	c.values = append(c.values, header)
	_, value, _ := strings.Cut(header, ":")
	c.values = append(c.values, strings.TrimSpace(value))
	if _, b64, ok := strings.Cut(strings.TrimSpace(value), " "); ok {
		c.values = append(c.values, strings.TrimSpace(b64))
	}
	if t := tokenOf(header); t != "" {
		c.values = append(c.values, t)
	}
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// tokenOf is the token inside an Authorization header, "" if there is none to
// be seen.
func tokenOf(header string) string {
	name, value, _ := strings.Cut(header, ":")
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(name, "Authorization") {
		return strings.TrimSpace(value)
	}
	switch strings.ToLower(scheme) {
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return ""
		}
		_, pass, _ := strings.Cut(string(plain), ":")
		return pass
	case "bearer", "token":
		return strings.TrimSpace(rest)
	}
	return ""
}

// userFor is the user name that goes with a token. The URL's own wins. GitHub
// documents x-access-token for every kind of token, GitLab oauth2 (and takes
// any), Bitbucket x-token-auth; Gitea and Forgejo take any.
func userFor(to remote, forge string) string {
	if to.user != "" {
		return to.user
	}
	switch {
	case forge == "gitlab":
		return "oauth2"
	case to.host == "bitbucket.org":
		return "x-token-auth"
	}
	return "x-access-token"
}

// scrub takes the credential out of a text: forges echo what they were sent,
// and messages are recorded.
func (c *credential) scrub(text, name string) string {
	if name == "" {
		name = "secret"
	}
	for _, v := range c.values {
		for _, v := range append([]string{v}, strings.Split(strings.TrimSpace(v), "\n")...) {
			if len(v) >= 6 && !strings.HasPrefix(v, "-----") {
				text = strings.ReplaceAll(text, v, "{{ "+name+" }}")
			}
		}
	}
	return text
}
