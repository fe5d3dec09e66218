package secret

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"quire/internal/config"
)

func (s source) ageFile(path string) (fetched, error) {
	// The file is encrypted, so who can read it does not matter; what it
	// decrypts to is bounded, and so is it.
	text, err := readLimited(path)
	if err != nil {
		return fetched{}, err
	}
	return s.age(strings.NewReader(text), path)
}

// age decrypts r, armored or not. what is the place it came from.
func (s source) age(r io.Reader, what string) (fetched, error) {
	path := s.cfg.Resolve(s.cfg.Identity)
	identities, warnings, err := readIdentities(s.cfg, path)
	if err != nil {
		return fetched{}, err
	}
	plain, err := age.Decrypt(dearmored(r), identities...)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return fetched{}, fmt.Errorf("%s is encrypted for another identity than those in %s; encrypt it again with: quire secrets encrypt", what, path)
	}
	if err != nil {
		return fetched{}, fmt.Errorf("decrypt %s: %w; encrypt it again with: quire secrets encrypt", what, err)
	}
	b, err := io.ReadAll(io.LimitReader(plain, MaxLength+2))
	if err != nil {
		return fetched{}, fmt.Errorf("decrypt %s: %w; encrypt it again with: quire secrets encrypt", what, err)
	}
	return fetched{value: TrimNewline(string(b)), warnings: warnings}, nil
}

// dearmored reads both of age's formats. An armored text in a TOML string may
// be preceded by blank lines, which the armor reader takes as well.
func dearmored(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	start, _ := buffered.Peek(len("age-encryption.org/"))
	if string(start) == "age-encryption.org/" {
		return buffered
	}
	return armor.NewReader(buffered)
}

func readIdentities(cfg *config.Config, path string) ([]age.Identity, []string, error) {
	if cfg.Identity == "" {
		return nil, nil, errors.New("no age identity; make one with age-keygen -o FILE and name it: identity = \"FILE\" in [secrets]")
	}
	text, warnings, err := readPrivate(path)
	if err != nil {
		return nil, nil, fmt.Errorf("age identity: %w", err)
	}
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, nil, fmt.Errorf("age identity %s: %w; it must hold AGE-SECRET-KEY-… lines as age-keygen writes them", path, err)
	}
	return identities, warnings, nil
}

// Encrypt encrypts value for the identities of the configuration's identity
// file, in age's armored format, as `age = """…"""` takes it. If some of them are
// post-quantum ones it is for those only: age refuses to mix the kinds, since
// the weaker one would decide.
func Encrypt(cfg *config.Config, value string) (string, error) {
	identities, _, err := readIdentities(cfg, cfg.Resolve(cfg.Identity))
	if err != nil {
		return "", err
	}
	var classic, hybrid []age.Recipient
	for _, id := range identities {
		switch id := id.(type) {
		case *age.X25519Identity:
			classic = append(classic, id.Recipient())
		case *age.HybridIdentity:
			hybrid = append(hybrid, id.Recipient())
		default:
			return "", fmt.Errorf("age identity of type %T has no recipient that quire knows; encrypt with the age program", id)
		}
	}
	recipients := hybrid
	if len(recipients) == 0 {
		recipients = classic
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipients...)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	if _, err := io.WriteString(w, value); err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return out.String(), nil
}
