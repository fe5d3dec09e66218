package mirror

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// credential is what a secret's value turned out to be.
type credential struct {
	header string // "Authorization: Basic …", for HTTP
	key    string // PEM, for SSH
	token  string // what header was made of, for the forge's API
	app    *app   // GitHub App; its header is minted

	name     string           // the secret's, for what is redacted
	redactor *secret.Redactor // nil: there is nothing to redact
}

var headerShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*:[ \t]`)

// parseCredential tells by the value's look (docs/mirroring.md, "Secrets") and
// says, without showing any of it, what does not fit the remote.
func parseCredential(value, name string, to remote, forge string) (credential, error) {
	c := credential{name: name}
	c.redact(value)
	text := strings.TrimSpace(value)
	switch {
	case text == "" && value != "":
		return c, fmt.Errorf("the secret is blank")
	case text == "":
		return c, nil
	case !strings.Contains(text, "-----BEGIN ") && strings.TrimRight(value, "\r\n") != text:
		return c, fmt.Errorf("the secret has blanks or empty lines before or after it: take them out of its source, since a server compares them, too; only the end of the line may follow")
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
	c, err := parseCredential(value, d.req.Target.Secret, d.to, kindOf(d.req.Target, d.to))
	c.redact(strings.TrimSpace(raw))
	if err == nil {
		err = c.notIn(d.to.url)
	}
	if err != nil {
		return c, err
	}
	return d.mint(ctx, c)
}

// unfetchedError is a secret that could not be had this time.
type unfetchedError struct{ error }

func (e *unfetchedError) Unwrap() error { return e.error }

// redact adds a value to what scrub looks for.
func (c *credential) redact(value string) {
	if value == "" {
		return
	}
	if c.redactor == nil {
		c.redactor = secret.NewRedactor()
	}
	c.redactor.Add(cmp.Or(c.name, "secret"), value)
}

// remember has every part of a header redacted.
func (c *credential) remember(header string) {
	_, value, _ := strings.Cut(header, ":")
	value = strings.TrimSpace(value)
	c.redact(header)
	c.redact(value)
	if _, b64, ok := strings.Cut(value, " "); ok {
		c.redact(strings.TrimSpace(b64))
	}
	c.redact(tokenOf(header))
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

// scrub takes the credential, in every form that a redactor knows, out of a text:
// forges echo what they were sent, and messages are recorded.
func (c *credential) scrub(text string) string {
	if c.redactor == nil {
		return text
	}
	return c.redactor.String(text)
}

// notIn refuses a URL that holds the credential.
func (c *credential) notIn(url string) error {
	if c.scrub(url) == url {
		return nil
	}
	return errors.New("the mirror's url holds the secret: take it out of the url, which stands in everybody's ps output and in the ledger; the secret that the mirror names is sent without it")
}

// noRedactor masks texts of a delivery without a credential.
var noRedactor = secret.NewRedactor()

// mask is scrub for what is recorded.
func (c *credential) mask(text string) masked.Text {
	if c.redactor == nil {
		return noRedactor.Mask(text)
	}
	return c.redactor.Mask(text)
}
