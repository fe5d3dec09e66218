package mirror

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"quire/internal/secret"
)

// A pipeline may bring a whole header (:auth-header) instead of a secret's name.
// The header is recorded nowhere, so whoever tries again later must make it anew.
// How it was made of a secret that the run had been given can be recorded, if it
// can be seen: that is a recipe, the header with {} in the secret's place.
//
//	Authorization: Bearer {}
//	Authorization: Basic base64(x-access-token:{})
//
// "" is a secret that serves as it is.

// unrecorded is the recipe of a header of which nobody could see how it is made.
// Only the pipeline can bring it again.
const unrecorded = "-"

var recipeShape = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): (?:([A-Za-z]+) )?(base64\(.*\)|\{\})$`)

// RecipeOf tells which of the secrets that a run was given an HTTP header was
// made of, and how. If that cannot be seen, name is "" and the recipe says so:
// a delivery under it is not tried again without the pipeline.
//
// Besides the secret a recipe holds a field's name, a scheme, and a user's name
// of at most 16 characters, so that no part of a token nobody declared can
// stand in it.
func RecipeOf(header string, given map[string]secret.Value) (name, recipe string) {
	names := make([]string, 0, len(given))
	for n := range given {
		names = append(names, n)
	}
	slices.Sort(names)
	header = strings.TrimSpace(header)
	for _, n := range names {
		value := strings.TrimSpace(given[n].Reveal())
		if value == header {
			return n, ""
		}
		for _, r := range recipes(header, value) {
			if made, err := follow(r, value); err == nil && made == header {
				return n, r
			}
		}
	}
	return "", unrecorded
}

// recipes are those by which header could be made of value.
func recipes(header, value string) []string {
	if len(value) < shortest {
		return nil
	}
	field, rest, _ := strings.Cut(header, ": ")
	if rest == value {
		return []string{field + ": {}"}
	}
	scheme, sent, _ := strings.Cut(rest, " ")
	if sent == value {
		return []string{field + ": " + scheme + " {}"}
	}
	plain, err := base64.StdEncoding.DecodeString(sent)
	if err != nil || !utf8.Valid(plain) {
		return nil
	}
	head := field + ": " + scheme + " base64("
	user, password, _ := strings.Cut(string(plain), ":")
	switch {
	case string(plain) == value:
		return []string{head + "{})"}
	case strings.TrimPrefix(string(plain), user+":") == value && isName(user):
		return []string{head + user + ":{})"}
	case user == value && isName(password):
		return []string{head + "{}:" + password + ")"}
	}
	return nil
}

// shortest is the length below which a value that is found in a header may be
// there by chance. The redactor leaves such values alone, too.
const shortest = secret.MinLength

func isName(s string) bool {
	return len(s) <= 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@") == ""
}

// follow makes the header.
func follow(recipe, value string) (string, error) {
	m := recipeShape.FindStringSubmatch(recipe)
	if m == nil {
		return "", fmt.Errorf("the ledger's word for how the header is made, %q, is none that this quire knows", recipe)
	}
	sent := strings.Replace(m[3], "{}", strings.TrimSpace(value), 1)
	if inner, ok := strings.CutPrefix(m[3], "base64("); ok {
		inner = strings.Replace(strings.TrimSuffix(inner, ")"), "{}", strings.TrimSpace(value), 1)
		sent = base64.StdEncoding.EncodeToString([]byte(inner))
	}
	if m[2] != "" {
		sent = m[2] + " " + sent
	}
	return m[1] + ": " + sent, nil
}
