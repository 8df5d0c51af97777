package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// MaxPEM bounds what is read of certificates and keys, in octets.
const MaxPEM = 256 << 10

// maxBlocks bounds the certificates and keys of one text.
const maxBlocks = 100

// The kinds of PEM blocks, RFC 7468.
const (
	blockCertificate = "CERTIFICATE"
	blockKey         = "PRIVATE KEY"
	blockRequest     = "CERTIFICATE REQUEST"
)

// ErrPassword means that a PKCS #12 file has another password.
var ErrPassword = errors.New("the password does not open it")

// EncodePEM writes an identity as programs that take one file read it: the
// certificate, those that issued it, and its key if it is known.
func (i Identity) EncodePEM() ([]byte, error) {
	text := EncodeCertificates(append([]*x509.Certificate{i.Certificate}, i.Chain...)...)
	if i.Key == nil {
		return text, nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, err
	}
	return append(text, pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: key})...), nil
}

// EncodeCertificates writes certificates one after the other.
func EncodeCertificates(all ...*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, c := range all {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: c.Raw}))
	}
	return text.Bytes()
}

// ParseIdentity reads what EncodePEM wrote.
func ParseIdentity(text []byte) (i Identity, err error) {
	err = eachBlock(text, func(b *pem.Block) error {
		switch b.Type {
		case blockCertificate:
			c, err := x509.ParseCertificate(b.Bytes)
			if err != nil {
				return err
			}
			if i.Certificate == nil {
				i.Certificate = c
				return nil
			}
			i.Chain = append(i.Chain, c)
		case blockKey:
			i.Key, err = parseKey(b.Bytes)
			return err
		}
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	if i.Certificate == nil {
		return Identity{}, errors.New("there is no certificate in it")
	}
	if i.Key != nil && !sameKey(i.Key.Public(), i.Certificate.PublicKey) {
		return Identity{}, errors.New("the key is not that of the certificate")
	}
	return i, nil
}

// ParseCertificates reads all certificates of a text, at least one.
func ParseCertificates(text []byte) (all []*x509.Certificate, err error) {
	err = eachBlock(text, func(b *pem.Block) error {
		if b.Type != blockCertificate {
			return nil
		}
		c, err := x509.ParseCertificate(b.Bytes)
		all = append(all, c)
		return err
	})
	if err == nil && len(all) == 0 {
		err = errors.New("there is no certificate in it")
	}
	return all, err
}

// ParseRequest reads a certificate signing request, in PEM or DER, as Renew
// takes it.
func ParseRequest(text []byte) ([]byte, error) {
	if b, _ := pem.Decode(text); b != nil {
		if b.Type != blockRequest && b.Type != "NEW "+blockRequest {
			return nil, fmt.Errorf("%w: a PEM block %s is expected", ErrRequest, blockRequest)
		}
		return b.Bytes, nil
	}
	return text, nil
}

func eachBlock(text []byte, do func(*pem.Block) error) error {
	if len(text) > MaxPEM {
		return fmt.Errorf("more than %d octets", MaxPEM)
	}
	for n := 0; ; n++ {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return nil
		}
		if n >= maxBlocks {
			return fmt.Errorf("more than %d certificates", maxBlocks)
		}
		if err := do(b); err != nil {
			return err
		}
	}
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the key is not PKCS #8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// EncodePKCS12 writes an identity with its key under a password, as telephones
// and browsers take it: with AES and SHA-2, or for old, Android before 14 say,
// with what they know.
func (i Identity) EncodePKCS12(password string, old bool) ([]byte, error) {
	encoder := pkcs12.Modern2023
	if old {
		encoder = pkcs12.LegacyDES
	}
	return encoder.Encode(i.Key, i.Certificate, i.Chain, password)
}

// ParsePKCS12 reads what EncodePKCS12 wrote, or says ErrPassword.
func ParsePKCS12(data []byte, password string) (Identity, error) {
	key, c, chain, err := pkcs12.DecodeChain(data, password)
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return Identity{}, ErrPassword
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read PKCS #12: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return Identity{}, errors.New("the key cannot sign")
	}
	return Identity{Certificate: c, Chain: chain, Key: signer}, nil
}
