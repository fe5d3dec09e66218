package config

// Protection is how much of a run's commit must be the default branch's own
// before the run is given a secret.
type Protection string

const (
	Unprotected     Protection = ""
	ProtectPipeline Protection = "pipeline" // protect = true: what decides which code runs first, see supervise.standing
	ProtectTree     Protection = "tree"     // protect = "tree": the commit is on the default branch

	malformed Protection = "malformed" // never past validation
)

// UnmarshalTOML takes true, false and "tree". Anything else becomes a fault
// when the secret is validated: the message then has a line and no value in it.
func (p *Protection) UnmarshalTOML(v any) error {
	switch v {
	case true:
		*p = ProtectPipeline
	case false:
		*p = Unprotected
	case "tree":
		*p = ProtectTree
	default:
		*p = malformed
	}
	return nil
}

// MarshalJSON writes it as the configuration does.
func (p Protection) MarshalJSON() ([]byte, error) {
	switch p {
	case Unprotected:
		return []byte("false"), nil
	case ProtectPipeline:
		return []byte("true"), nil
	}
	return []byte(`"` + string(p) + `"`), nil
}

func (c *Config) validateProtection(s Secret, f *faults) {
	key := "secrets." + s.Name
	if s.Protect == malformed {
		f.add(key+".protect", "secret %s: protect is true, false or \"tree\"", s.Name)
		return
	}
	if len(s.ProtectPaths) > 0 && s.Protect != ProtectPipeline {
		f.add(key+".protect_paths", "secret %s: protect_paths adds paths to protect = true: set that, too (protect = \"tree\" covers every path without it)", s.Name)
	}
	f.globs(key+".protect_paths", s.ProtectPaths)
	for _, p := range s.ProtectPaths {
		if len(p) > 0 && p[0] == '/' || len(p) > 1 && p[:2] == "./" {
			f.add(key+".protect_paths", "secret %s: protect_paths are paths of the repository, which begin with neither / nor ./: %q", s.Name, p)
		}
	}
}
