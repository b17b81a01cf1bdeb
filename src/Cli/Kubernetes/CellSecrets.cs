using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Kubernetes;

/// <summary>One part of a cell: a StatefulSet, whose pods are <c>{name}-0</c> and on, below a headless Service of the same name.</summary>
/// <param name="Secret">Where its certificates of this cell are: a set that several cells share has one Secret of each.</param>
internal sealed record CellPart(PeerRole Role, string Name, int Replicas, string Secret)
{
    /// <summary>Reads <c>ROLE/NAME=REPLICAS</c>, whose Secret is <c>NAME-pki</c>, or <c>ROLE/NAME=REPLICAS/SECRET</c>.</summary>
    public static CellPart Parse(string text) =>
        text.Split('/', '=') is [("coordinator" or "node") and var role, var name, var count, .. var secret] && secret.Length <= 1 && secret.All(Names.IsValid)
        && Names.IsValid(name) && int.TryParse(count, out int replicas) && replicas is > 0 and <= 1000
            ? new CellPart(role == "node" ? PeerRole.Node : PeerRole.Coordinator, name, replicas, secret is [var own] ? own : name + "-pki")
            : throw new UsageException($"--part is '{text}'; it must be coordinator/NAME=REPLICAS or node/NAME=REPLICAS, and may end with /SECRET");
}

/// <summary>
/// Keeps the certificates of one tenant's cell in Secrets: the roots with their keys in one that no pod mounts, and for each part one as the chart mounts it (<c>ca.crt</c>, and for each pod
/// <c>POD.crt</c> and <c>POD.key</c>). What is there and good is left alone, and so is what somebody else made.
/// </summary>
internal sealed class CellSecrets(SecretClient secrets, TenantId tenant, string installation, string rootSecret, string domain, PkiLifetimes lifetimes, TextWriter output)
{
    private const string ManagedBy = "app.kubernetes.io/managed-by", Us = "lamina-pki";

    private readonly Dictionary<string, string> _labels = new() { [ManagedBy] = Us, ["app.kubernetes.io/name"] = "lamina", ["lamina.dev/tenant"] = tenant.Value };

    public async Task KeepAsync(IReadOnlyList<CellPart> parts, CancellationToken cancellation)
    {
        KeptSecret? root = await secrets.FindAsync(rootSecret, cancellation);
        if (root is not null && !KeptAuthority.HoldsRoots(root.Files.Keys))
        {
            throw new CommandException($"Secret '{rootSecret}' is there and holds no root under 1.crt and 1.key; it is left alone, and nothing is issued");
        }

        using KeptAuthority authority = KeptAuthority.Open(installation, tenant, root?.Files ?? new Dictionary<string, string>(), lifetimes);
        if (authority.IsChanged)
        {
            // Before anything that it issues: what a root that nobody keeps has issued could never be renewed.
            if (root is null)
            {
                await secrets.CreateAsync(rootSecret, _labels, authority.Kept, cancellation);
            }
            else
            {
                root.Change(authority.Kept, root.Files.Keys.Where(name => IsRoot(name) && !authority.Kept.ContainsKey(name)));
                await secrets.ReplaceAsync(rootSecret, root, cancellation);
            }
        }

        await output.WriteLineAsync($"{rootSecret}: {(root is null ? "created" : authority.IsChanged ? "changed" : "kept")}, issues until {authority.RootEnds:yyyy-MM-dd}");
        foreach (CellPart part in parts)
        {
            await KeepAsync(part, authority, cancellation);
        }
    }

    private async Task KeepAsync(CellPart part, KeptAuthority authority, CancellationToken cancellation)
    {
        KeptSecret? present = await secrets.FindAsync(part.Secret, cancellation);
        if (present is not null && present.Label(ManagedBy) != Us)
        {
            throw new CommandException($"Secret '{part.Secret}' was made by somebody else and is left alone; delete it to have its certificates made here");
        }

        IReadOnlyDictionary<string, string> files = present?.Files ?? new Dictionary<string, string>();
        Dictionary<string, string> wanted = new() { ["ca.crt"] = authority.Bundle };
        int issued = 0;
        foreach (string pod in Enumerable.Range(0, part.Replicas).Select(ordinal => $"{part.Name}-{ordinal}"))
        {
            IssuedLeaf? leaf = authority.Renew(new KeptLeaf(part.Role, pod, $"{pod}.{part.Name}.{domain}"), files.GetValueOrDefault(pod + ".crt"), files.GetValueOrDefault(pod + ".key"));
            wanted[pod + ".crt"] = leaf?.CertificatePem ?? files[pod + ".crt"];
            wanted[pod + ".key"] = leaf?.KeyPem ?? files[pod + ".key"];
            issued += leaf is null ? 0 : 1;
        }

        if (present is null)
        {
            await secrets.CreateAsync(part.Secret, _labels, wanted, cancellation);
        }
        else if (present.Change(wanted, files.Keys.Where(name => name.StartsWith(part.Name + "-", StringComparison.Ordinal) && !wanted.ContainsKey(name))))
        {
            await secrets.ReplaceAsync(part.Secret, present, cancellation);
        }

        await output.WriteLineAsync($"{part.Secret}: {issued} of {part.Replicas} certificates issued");
    }

    private static bool IsRoot(string name) => KeptAuthority.HoldsRoots([Path.ChangeExtension(name, "crt")]);
}
