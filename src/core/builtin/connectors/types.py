"""The connector types that ship with core, as data: what they reach, how they authenticate, and their settings."""

from __future__ import annotations

from core.ports.service_connector import AuthField, AuthMethod, ConnectorType, ResourceType

_BOOLEAN = ("true", "false")
_NAMESPACE = AuthField("namespace", "Namespace that pods go to, where a component does not say.")

DOCKER = ConnectorType(
    "docker",
    "A container registry that takes a user name and a password or token.",
    "core.builtin.connectors.docker:DockerConnector",
    (ResourceType("docker-registry", "The registry: pull and push images.", "HOST[:PORT]"),),
    (
        AuthMethod(
            "password",
            "A user name and a password; better a token that only pulls and pushes, where the registry has them.",
            (
                AuthField("username", "Who logs in.", required=True),
                AuthField("password", "Password, or an access token of the registry.", secret=True, required=True),
                AuthField("server", "Host of the registry, with its port if it has one.", default="docker.io"),
                AuthField("insecure", "Speak plain http; a registry of this machine does.", choices=_BOOLEAN),
            ),
        ),
    ),
)

KUBERNETES = ConnectorType(
    "kubernetes",
    "A Kubernetes cluster, wherever it runs.",
    "core.builtin.connectors.kubernetes:KubernetesConnector",
    (ResourceType("kubernetes-cluster", "The cluster: launch and watch pods.", "CLUSTER"),),
    (
        AuthMethod(
            "kubeconfig",
            "What kubectl is set up with: a context of a kubeconfig that names no files (`kubectl config view --raw`).",
            (
                AuthField("kubeconfig", "Text of the file.", secret=True, required=True),
                AuthField("context", "Name of a context in it, in the place of the current one."),
                _NAMESPACE,
            ),
        ),
        AuthMethod(
            "token",
            "A service account's token: `kubectl create token NAME`.",
            (
                AuthField("server", "URL of the API server, such as https://HOST:6443.", required=True),
                AuthField("token", "Bearer token.", secret=True, required=True),
                AuthField("certificate_authority", "Certificate (PEM) of the authority that signed the server's."),
                AuthField("cluster_name", "Name by which components find it; by default the server's host."),
                AuthField("insecure", "Do not look at the server's certificate.", choices=_BOOLEAN),
                _NAMESPACE,
            ),
        ),
    ),
    auto=True,
)
