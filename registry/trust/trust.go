// Package trust reads what a peer and this guard know each other by: secrets that nobody else may read, and
// certificates; and makes HTTP clients that give nothing of it away.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
)

const (
	// maxSecret and maxCerts bound files in octets.
	maxSecret = 4096
	maxCerts  = 1 << 20
	// maxHeader bounds the header of a reply in octets.
	maxHeader = 32 << 10
)

// Secret returns the content of a file that its owner alone may read, without the end of its line. Windows has other
// means to see to that.
func Secret(path string) (string, error) {
	text, mode, err := read(path, maxSecret)
	if err == nil && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		err = fmt.Errorf("%s has mode %04o and is open to others: chmod 600 %s", path, mode.Perm(), path)
	}
	return strings.TrimSpace(text), err
}

func read(path string, most int64) (string, os.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", 0, err
	case !info.Mode().IsRegular():
		return "", 0, fmt.Errorf("%s is no file", path)
	case info.Size() > most:
		return "", 0, fmt.Errorf("%s: %d octets are too many", path, info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	return string(text), info.Mode(), err
}

// Pool reads certificates in PEM; nil, which stands for those of the system, for the path "".
func Pool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, _, err := read(path, maxCerts)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return pool, nil
}

// Client makes a client that checks certificates with those in the file ca, follows no redirect and uses no proxy. Who
// makes it calls its CloseIdleConnections.
func Client(ca string) (*http.Client, error) {
	pool, err := Pool(ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
			ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
