using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Access;

namespace Lamina.Coordinator.Quotas;

/// <summary>How what is suspended must be written, so that a slip stops the command instead of nothing.</summary>
public static class SuspensionNames
{
    private const int MaxShown = 128;

    private static readonly string[] s_digestPrefixes = ["sha256-", "sha256:"];

    /// <summary>The suspension with its name as it is compared. Throws <see cref="AccessChangeException"/>, with what was found and expected, when no such thing can exist.</summary>
    public static Suspension Checked(Suspension suspension)
    {
        if (TryCanonical(suspension.Kind, suspension.Name) is not { } name)
        {
            // A whole key in place of its id is a secret, which no message repeats.
            string found = ApiKeyText.TryParse(suspension.Name, out string? id) ? $"a whole key; its id is '{id}'" : $"'{(suspension.Name.Length > MaxShown ? suspension.Name[..MaxShown] : suspension.Name)}'";
            throw new AccessChangeException($"the {suspension.Kind.ToString().ToLowerInvariant()} is {found}, expected {Expected(suspension.Kind)}");
        }

        bool needsTenant = suspension.Kind == SuspensionKind.Node || (suspension.Kind == SuspensionKind.Key && TokenSubject.Is(name));
        return suspension.Tenant is not { } tenant
                ? needsTenant ? throw new AccessChangeException($"no tenant is named, expected that of the {(suspension.Kind == SuspensionKind.Node ? "node" : "subject")}") : suspension with { Name = name }
            : !needsTenant ? throw new AccessChangeException($"the tenant is '{Shown(tenant)}', expected none: a {suspension.Kind.ToString().ToLowerInvariant()} is known by its name alone")
            : !Names.IsValid(tenant.Value) ? throw new AccessChangeException($"the tenant is '{Shown(tenant)}', expected 1 to 63 lower-case letters, digits and inner hyphens")
            : suspension with { Name = name };
    }

    /// <summary>The name as it is compared; null when it has not the form of its kind.</summary>
    public static string? TryCanonical(SuspensionKind kind, string name) => kind switch
    {
        SuspensionKind.Tenant or SuspensionKind.Node => Names.IsValid(name) ? name : null,
        SuspensionKind.Key => ApiKeyText.IsId(name) || TokenSubject.IsWellFormed(name) ? name : null,
        SuspensionKind.Model => TryDigest(name),
        _ => null,
    };

    /// <summary>Digests are copied from many tools: with the prefix of either spelling or none, in capitals or not.</summary>
    private static string? TryDigest(string text)
    {
        string hash = text.ToLowerInvariant();
        foreach (string prefix in s_digestPrefixes)
        {
            if (hash.StartsWith(prefix, StringComparison.Ordinal))
            {
                hash = hash[prefix.Length..];
                break;
            }
        }

        return BlobDigest.TryParse("sha256-" + hash, out BlobDigest digest) ? digest.ToString() : null;
    }

    private static string Shown(TenantId tenant) => tenant.Value.Length > MaxShown ? tenant.Value[..MaxShown] : tenant.Value;

    private static string Expected(SuspensionKind kind) => kind switch
    {
        SuspensionKind.Key => "the id of a key, 12 lower-case hexadecimal digits, or oidc: and the subject of a token",
        SuspensionKind.Model => "the digest of a model's file, sha256- and 64 hexadecimal digits",
        _ => "1 to 63 lower-case letters, digits and inner hyphens",
    };
}
