// Package kubetest holds the verification of the Kubernetes manifests and of the
// static image: kustomize builds them, kubeconform judges them by the schemas
// that Kubernetes publishes, and Kubernetes' own admission by its restricted
// standard. It is a module of its own, so that these libraries stay out of the
// program's.
package kubetest
