package docker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/docker/docker/client"
)

// tlsOption trusts a context's authority and shows its certificate.
func (c *dockerContext) tlsOption() (client.Opt, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.skipVerify}
	if pem, err := os.ReadFile(filepath.Join(c.tls, "ca.pem")); err == nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("docker context %q: ca.pem holds no certificate", c.name)
		}
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(c.tls, "cert.pem"), filepath.Join(c.tls, "key.pem"))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("docker context %q: its certificate: %w", c.name, err)
	default:
		config.Certificates = []tls.Certificate{cert}
	}
	return client.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: config}, CheckRedirect: client.CheckRedirect}), nil
}
