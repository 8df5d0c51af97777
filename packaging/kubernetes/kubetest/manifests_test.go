package kubetest_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// The two things that are applied, one after the other.
var applied = []string{"upgrade", "serve"}

// secrets are the files that an operator puts beside the manifests.
var secrets = []string{"secret", "database-password", "kannel-password", "kannel-in-password"}

// copied copies the manifests into memory, for kustomize to build them there.
func copied(t *testing.T) filesys.FileSystem {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	for _, part := range append([]string{"base"}, applied...) {
		files, err := filepath.Glob(filepath.Join("..", part, "*.*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no manifests in %s: %v", part, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := memory.WriteFile("/"+part+"/"+filepath.Base(f), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	return memory
}

func withSecrets(t *testing.T) filesys.FileSystem {
	t.Helper()
	memory := copied(t)
	for _, s := range secrets {
		if err := memory.WriteFile("/base/secrets/"+s, []byte(rand.Text())); err != nil {
			t.Fatal(err)
		}
	}
	return memory
}

func build(files filesys.FileSystem, part string) ([]byte, error) {
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/"+part)
	if err != nil {
		return nil, err
	}
	return all.AsYaml()
}

func built(t *testing.T, part string) []byte {
	t.Helper()
	text, err := build(withSecrets(t), part)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A cluster is what is applied, decoded into the types of Kubernetes.
type cluster struct {
	job         batchv1.Job
	deployment  appsv1.Deployment
	service     corev1.Service
	budget      policyv1.PodDisruptionBudget
	namespace   corev1.Namespace
	account     corev1.ServiceAccount
	config      corev1.ConfigMap
	secret      corev1.Secret
	policies    []networkingv1.NetworkPolicy
	configNames []string // of each part
	secretNames []string
}

func decoded(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	for _, part := range applied {
		for text := range bytes.SplitSeq(built(t, part), []byte("\n---\n")) {
			c.take(t, text)
		}
		c.configNames, c.secretNames = append(c.configNames, c.config.Name), append(c.secretNames, c.secret.Name)
	}
	return c
}

func (c *cluster) take(t *testing.T, text []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		t.Fatal(err)
	}
	into := map[string]any{
		"Job": &c.job, "Deployment": &c.deployment, "Service": &c.service, "PodDisruptionBudget": &c.budget,
		"Namespace": &c.namespace, "ServiceAccount": &c.account, "ConfigMap": &c.config, "Secret": &c.secret,
	}[kind.Kind]
	if kind.Kind == "NetworkPolicy" {
		c.policies = append(c.policies, networkingv1.NetworkPolicy{})
		into = &c.policies[len(c.policies)-1]
	}
	if into == nil {
		t.Fatalf("nobody looks at a %s", kind.Kind)
	}
	switch kind.Kind { // what was taken of the other part is another value
	case "ConfigMap":
		c.config = corev1.ConfigMap{}
	case "Secret":
		c.secret = corev1.Secret{}
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", kind.Kind, err)
	}
}

func TestManifestsFollowTheSchemasOfKubernetes(t *testing.T) {
	for version := range kubernetes {
		t.Run(version, func(t *testing.T) {
			v := judge(t, version)
			for _, part := range applied {
				for _, fault := range wrong(t, v, built(t, part)) {
					t.Errorf("%s: %s", part, fault)
				}
			}
		})
	}
}

// A judge who lets everything pass proves nothing.
func TestWrongManifestsAreRefused(t *testing.T) {
	v := judge(t, "v1.37.2")
	right := string(built(t, "serve"))
	for name, change := range map[string][2]string{
		"a misspelt field":               {"readinessProbe:", "readynessProbe:"},
		"a text for a number":            {"replicas: 2", "replicas: two"},
		"a field in the wrong place":     {"      serviceAccountName: maillon\n", "      serviceAccountName: maillon\n      readOnlyRootFilesystem: true\n"},
		"a kind that there is not":       {"kind: PodDisruptionBudget", "kind: PodDisruptionBudgets"},
		"a version that is gone":         {"apiVersion: policy/v1", "apiVersion: policy/v1beta1"},
		"a list for a text":              {"type: ClusterIP", "type: [ClusterIP]"},
		"a container that has no name":   {"        name: maillon\n        ports:", "        ports:"},
		"a key that stands there twice":  {"replicas: 2", "replicas: 2\n  replicas: 3"},
		"a port that is not even a name": {"targetPort: http", "targetPort: [80]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(right, change[0], change[1], 1)
			if text == right {
				t.Fatalf("there is no %q to be changed in\n%s", change[0], right)
			}
			if len(wrong(t, v, []byte(text))) == 0 {
				t.Error("it was not refused")
			}
		})
	}
}

func TestNothingIsBuiltWithoutItsSecrets(t *testing.T) {
	for _, part := range applied {
		if _, err := build(copied(t), part); err == nil || !strings.Contains(err.Error(), "secrets/secret") {
			t.Errorf("%s without secrets: %v", part, err)
		}
	}
}

// pods are the templates of the pods there are.
func (c *cluster) pods() map[string]corev1.PodTemplateSpec {
	return map[string]corev1.PodTemplateSpec{"upgrade": c.job.Spec.Template, "serve": c.deployment.Spec.Template}
}

func refused(t *testing.T, pod corev1.PodTemplateSpec) (why []string) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, r := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			why = append(why, r.ForbiddenReason+": "+r.ForbiddenDetail)
		}
	}
	return why
}

func TestPodsAreAdmittedByTheRestrictedStandard(t *testing.T) {
	c := decoded(t)
	for name, pod := range c.pods() {
		for _, why := range refused(t, pod) {
			t.Errorf("%s: %s", name, why)
		}
		root := pod.DeepCopy()
		root.Spec.SecurityContext.RunAsNonRoot = new(bool)
		root.Spec.SecurityContext.RunAsUser = new(int64)
		if len(refused(t, *root)) == 0 {
			t.Errorf("%s is admitted as root: nothing is proven", name)
		}
	}
	if level := c.namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q", level)
	}
}

// Beyond the standard: what a program that needs nothing gets nothing of.
func TestPodsGetNoMoreThanTheyNeed(t *testing.T) {
	c := decoded(t)
	if c.account.AutomountServiceAccountToken == nil || *c.account.AutomountServiceAccountToken {
		t.Error("the account hands out its token")
	}
	for name, pod := range c.pods() {
		s := pod.Spec
		if s.ServiceAccountName != c.account.Name || s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
			t.Errorf("%s carries a token, or another account", name)
		}
		if len(s.Containers) != 1 || len(s.InitContainers) != 0 {
			t.Fatalf("%s has %d containers", name, len(s.Containers))
		}
		k := s.Containers[0]
		if k.SecurityContext.ReadOnlyRootFilesystem == nil || !*k.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s may write its own file system", name)
		}
		if k.Resources.Requests.Cpu().IsZero() || k.Resources.Requests.Memory().IsZero() || k.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: resources are %v", name, k.Resources)
		}
		if !strings.Contains(k.Image, "/maillon:") || strings.HasSuffix(k.Image, ":latest") {
			t.Errorf("%s runs %s: an image is named with its version", name, k.Image)
		}
		if len(k.Env) > 1 || len(k.EnvFrom) > 0 {
			t.Errorf("%s is told things in its environment: %v", name, k.Env)
		}
	}
	if up, serve := c.job.Spec.Template.Spec.Containers[0].Image, c.deployment.Spec.Template.Spec.Containers[0].Image; up != serve {
		t.Errorf("%s upgrades for %s", up, serve)
	}
}

// A schema does not say that what one resource names is what another is called.
func TestManifestsHangTogether(t *testing.T) {
	c := decoded(t)
	d := c.deployment.Spec
	pod := labels.Set(d.Template.Labels)
	for name, selector := range map[string]*metav1.LabelSelector{
		"deployment": d.Selector, "budget": c.budget.Spec.Selector,
		"spread by node": d.Template.Spec.TopologySpreadConstraints[0].LabelSelector,
		"spread by zone": d.Template.Spec.TopologySpreadConstraints[1].LabelSelector,
		"service":        {MatchLabels: c.service.Spec.Selector},
	} {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(pod) || s.Matches(labels.Set(c.job.Spec.Template.Labels)) {
			t.Errorf("%s selects %v (%v), which is not just %v", name, selector, err, pod)
		}
	}
	if *d.Replicas < 2 || c.budget.Spec.MaxUnavailable.IntValue() >= int(*d.Replicas) || d.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Error("a roll-out or a drain could take every server at once")
	}
	if len(slices.Compact(c.configNames)) != 1 || !strings.HasPrefix(c.config.Name, "maillon-config-") {
		t.Errorf("the upgrade and the servers are told different things: %v", c.configNames)
	}
	for name, p := range c.pods() {
		config, secret := p.Spec.Volumes[0], p.Spec.Volumes[1]
		if config.ConfigMap.Name != c.config.Name || !strings.HasPrefix(secret.Secret.SecretName, "maillon-secrets-") || *secret.Secret.DefaultMode != 0o440 {
			t.Errorf("%s reads %s and %s", name, config.ConfigMap.Name, secret.Secret.SecretName)
		}
	}
	c.probes(t, d.Template.Spec)
}

func (c *cluster) probes(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	k := pod.Containers[0]
	port := k.Ports[0]
	if got := c.service.Spec.Ports[0].TargetPort.String(); got != port.Name {
		t.Errorf("the service leads to %s, and the port is %s", got, port.Name)
	}
	if !slices.Contains(k.Args, "--listen=:8080") || port.ContainerPort != 8080 {
		t.Errorf("%v listens on another port than %d", k.Args, port.ContainerPort)
	}
	for path, probe := range map[string]*corev1.Probe{"/livez": k.LivenessProbe, "/readyz": k.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != port.Name {
			t.Errorf("a probe asks %v for %s", probe.HTTPGet.Port, probe.HTTPGet.Path)
		}
	}
	if k.StartupProbe.HTTPGet.Path != "/livez" || k.StartupProbe.PeriodSeconds*k.StartupProbe.FailureThreshold < 60 {
		t.Error("a start is not given a minute")
	}
	if grace := *pod.TerminationGracePeriodSeconds; grace < k.Lifecycle.PreStop.Sleep.Seconds+30 {
		t.Errorf("a server has %d seconds to end", grace)
	}
}

// Nobody reaches anybody, unless it is written down.
func TestPoliciesBeginWithNobody(t *testing.T) {
	c := decoded(t)
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	if !slices.ContainsFunc(c.policies, func(p networkingv1.NetworkPolicy) bool {
		return len(p.Spec.PodSelector.MatchLabels) == 0 && slices.Equal(p.Spec.PolicyTypes, both) && p.Spec.Ingress == nil && p.Spec.Egress == nil
	}) {
		t.Error("no policy refuses everything")
	}
	for _, p := range c.policies {
		for _, e := range p.Spec.Egress {
			if len(e.To) == 0 || len(e.Ports) == 0 {
				t.Errorf("%s leads everywhere", p.Name)
			}
		}
		for _, i := range p.Spec.Ingress {
			if len(i.From) == 0 || len(i.Ports) == 0 {
				t.Errorf("%s lets everybody in", p.Name)
			}
		}
	}
}

// What an operator writes by mistake into the repository is no secret.
func TestSecretsAreFilesOfTheOperator(t *testing.T) {
	c := decoded(t)
	for _, s := range secrets {
		if len(c.secret.Data[s]) == 0 {
			t.Errorf("the secret has no %s", s)
		}
		if !strings.Contains(c.config.Data["maillon.toml"], `"/run/secrets/maillon/`+s+`"`) {
			t.Errorf("the configuration does not read %s", s)
		}
		if strings.Contains(c.config.Data["maillon.toml"], base64.StdEncoding.EncodeToString(c.secret.Data[s])) {
			t.Errorf("the configuration holds %s", s)
		}
	}
	ignored, err := os.ReadFile("../base/.gitignore")
	if err != nil || !strings.Contains(string(ignored), "/secrets/") {
		t.Errorf("git would take the secrets: %q, %v", ignored, err)
	}
}
