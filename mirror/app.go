package mirror

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// app is a GitHub App's credential: an id and a private key, from which tokens
// for one installation are minted that live an hour.
//
// As a secret it is the line "github-app ID" or "github-app ID INSTALLATION"
// with the key in PEM below it, as GitHub gives it out.
type app struct {
	id           string
	installation string // "": asked of the forge, by repository
	key          *rsa.PrivateKey
}

func parseApp(text string) (*app, error) {
	first, rest, _ := strings.Cut(text, "\n")
	f := strings.Fields(first)
	if len(f) < 2 || len(f) > 3 {
		return nil, errors.New("a GitHub App's secret starts with the line \"github-app ID\" or \"github-app ID INSTALLATION\"")
	}
	a := &app{id: f[1]}
	if len(f) == 3 {
		a.installation = f[2]
	}
	if strings.Trim(a.installation, "0123456789") != "" {
		return nil, errors.New("a GitHub App's installation is a number")
	}
	block, _ := pem.Decode([]byte(strings.ReplaceAll(rest, "\r\n", "\n")))
	if block == nil {
		return nil, errors.New("a GitHub App's secret has the App's private key, in PEM, below its first line")
	}
	var err error
	if a.key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return a, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	rsaKey, ok := k.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("the GitHub App's private key cannot be read: it is damaged, or no RSA key")
	}
	a.key = rsaKey
	return a, nil
}

// jwt is what the App proves itself with (GitHub's documentation, "Generating a
// JSON Web Token for a GitHub App"): valid for ten minutes at most, issued a
// minute ago for clocks that are behind.
func (a *app) jwt(now time.Time) (string, error) {
	part := func(v any) string {
		b, _ := json.Marshal(v) // strings and numbers only
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." +
		part(map[string]any{"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(), "iss": a.id})
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// appTokens are installation tokens, in memory only, by App, repository and API.
type appTokens struct {
	mu sync.Mutex
	by map[string]appToken
}

type appToken struct {
	value   string
	expires time.Time
}

// renewBefore is how long before its end a token is replaced: longer than most
// pushes take.
const renewBefore = 10 * time.Minute

// token mints a token for the repository, or gives the one that was minted for
// it before and lives long enough.
func (t *appTokens) token(ctx context.Context, a *app, c client, owner, repo string, now time.Time) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := strings.Join([]string{c.base, a.id, a.installation, owner, repo}, "\n")
	if have, ok := t.by[key]; ok && have.expires.Sub(now) > renewBefore {
		return have.value, nil
	}
	jwt, err := a.jwt(now)
	if err != nil {
		return "", fmt.Errorf("GitHub App %s: %w", a.id, err)
	}
	c.authorization = "Bearer " + jwt
	installation := a.installation
	if installation == "" {
		var found struct {
			ID json.Number `json:"id"`
		}
		if err := c.do(ctx, http.MethodGet, "/repos/"+owner+"/"+repo+"/installation", nil, &found, 200); err != nil {
			return "", fmt.Errorf("GitHub App %s: find its installation for %s/%s: %w", a.id, owner, repo, err)
		}
		installation = found.ID.String()
	}
	var minted struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	// Without a body the token has all that the installation was given.
	if err := c.do(ctx, http.MethodPost, "/app/installations/"+installation+"/access_tokens", nil, &minted, 201); err != nil {
		return "", fmt.Errorf("GitHub App %s: mint a token: %w", a.id, err)
	}
	if minted.Token == "" {
		return "", fmt.Errorf("GitHub App %s: the forge answered without a token", a.id)
	}
	if t.by == nil {
		t.by = map[string]appToken{}
	}
	t.by[key] = appToken{minted.Token, minted.Expires}
	return minted.Token, nil
}
