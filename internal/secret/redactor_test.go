package secret

import (
	"bytes"
	"testing"
)

func TestQuick(t *testing.T) {
	r := NewRedactor()
	r.Add("tok", "ababSECRET123")
	r.Add("longer_name", "ababSECRET1234567")
	r.Add("pem", "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\nBKgwggSkAgEAAoIBAQ==\nab==\n-----END KEY-----\n")
	for _, in := range []string{
		"hello ababSECRET123 there", "abababSECRET123", "ababSECRET1234567", "ababSECRET123456x",
		"x -----BEGIN KEY-----\r\nMIIEvgIBADANBgkqhkiG9w0BAQEFAASC\r\nBKgwggSkAgEAAoIBAQ==\r\nab==\r\n-----END KEY-----\r\n y",
		"x\n   -----BEGIN KEY-----\n   MIIEvgIBADANBgkqhkiG9w0BAQEFAASC\n   BKgwggSkAgEAAoIBAQ==\n   ab==\n   -----END KEY-----\n y",
		"zzYWJhYlNFQ1JFVDEyMwo=", "zzYWJhY\nlNFQ1\nJFVDEyMwo=",
		"6162 616261625345435245543\n132330a",
	} {
		whole := r.String(in)
		t.Logf("%q -> %q", in, whole)
		for n := 1; n < len(in); n++ {
			var b bytes.Buffer
			w := r.Writer(&b)
			for i := 0; i < len(in); i += n {
				w.Write([]byte(in[i:min(i+n, len(in))]))
			}
			w.Close()
			if b.String() != whole {
				t.Errorf("n=%d %q want %q", n, b.String(), whole)
			}
		}
	}
}
