using System.Globalization;
using k8s.Models;

namespace Lamina.Deploy.Tests.Support;

/// <summary>A pod that sends or receives; the labels of its namespace are its name alone, as Kubernetes sets them.</summary>
internal sealed record Peer(string Name, string Namespace, IDictionary<string, string> Labels);

/// <summary>
/// Decides what NetworkPolicies let through: a connection needs the leave of the sender's egress and of the receiver's ingress; a pod that no policy of a direction
/// selects is open in it; policies add up.
/// </summary>
internal sealed class PolicyMatrix(IEnumerable<V1NetworkPolicy> policies)
{
    private readonly V1NetworkPolicy[] _policies = [.. policies];

    public bool Allows(Peer from, Peer to, int port, string protocol)
    {
        V1NetworkPolicy[] leaving = Selecting(from, "Egress"), entering = Selecting(to, "Ingress");
        return (leaving.Length == 0 || leaving.Any(policy => (policy.Spec.Egress ?? []).Any(rule => Reaches(rule.To, policy, to) && Covers(rule.Ports, port, protocol))))
            && (entering.Length == 0 || entering.Any(policy => (policy.Spec.Ingress ?? []).Any(rule => Reaches(rule.FromProperty, policy, from) && Covers(rule.Ports, port, protocol))));
    }

    private V1NetworkPolicy[] Selecting(Peer pod, string direction) =>
        [.. _policies.Where(policy => policy.Metadata.NamespaceProperty == pod.Namespace && policy.Spec.PolicyTypes.Contains(direction) && Matches(policy.Spec.PodSelector, pod.Labels))];

    private static bool Reaches(IList<V1NetworkPolicyPeer>? peers, V1NetworkPolicy policy, Peer pod) =>
        peers is null or { Count: 0 } || peers.Any(peer =>
        {
            Assert.Null(peer.IpBlock); // not evaluated here, and the chart needs none
            bool inNamespace = peer.NamespaceSelector is { } selector
                ? Matches(selector, new Dictionary<string, string> { ["kubernetes.io/metadata.name"] = pod.Namespace })
                : policy.Metadata.NamespaceProperty == pod.Namespace;
            return inNamespace && (peer.PodSelector is null || Matches(peer.PodSelector, pod.Labels));
        });

    private static bool Covers(IList<V1NetworkPolicyPort>? ports, int port, string protocol) =>
        ports is null or { Count: 0 } || ports.Any(allowed =>
        {
            Assert.Null(allowed.EndPort);
            return allowed.Port.Value == port.ToString(CultureInfo.InvariantCulture) && (allowed.Protocol ?? "TCP") == protocol;
        });

    private static bool Matches(V1LabelSelector selector, IDictionary<string, string> labels) =>
        (selector.MatchLabels ?? new Dictionary<string, string>()).All(label => labels.TryGetValue(label.Key, out string? value) && value == label.Value)
        && (selector.MatchExpressions ?? []).All(expression =>
        {
            Assert.Equal("In", expression.OperatorProperty);
            return labels.TryGetValue(expression.Key, out string? value) && expression.Values.Contains(value);
        });
}
