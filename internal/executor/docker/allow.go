package docker

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// allowed refuses an image that pipelines may not use. The engine fetches images
// itself, outside of every container and network rule.
func (d *Executor) allowed(name string, ref reference.Named) error {
	if name == d.spec.DefaultImage { // the operator's
		return nil
	}
	for _, pattern := range d.spec.AllowImages {
		if matchImage(pattern, ref) {
			return nil
		}
	}
	if len(d.spec.AllowImages) > 0 {
		return fmt.Errorf("image %s: %s is not in allow_images of [executor], which lists what pipelines may use", name, exact(ref))
	}
	if host := reference.Domain(ref); near(host) {
		return fmt.Errorf("image %s: the registry %s is on this machine or in its network, which pipelines do not reach: list it in allow_images of [executor]", name, host)
	}
	return nil
}

// matchImage compares a whole name, with its tag or without; * stands for any
// characters.
func matchImage(pattern string, ref reference.Named) bool {
	re, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	return err == nil && (re.MatchString(exact(ref)) || re.MatchString(ref.Name()))
}

// near is a registry that is named as this machine or by an address that only
// its own networks have.
func near(host string) bool {
	name := host
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	// 127.1 and 2130706433 are 127.0.0.1 to some resolvers, and no registry's name.
	if strings.Trim(name, "0123456789.") == "" || strings.HasPrefix(name, "0x") {
		if a, err := netip.ParseAddr(name); err != nil || !public(a) {
			return true
		}
		return false
	}
	a, err := netip.ParseAddr(name)
	return err == nil && !public(a)
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate()
}
