using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

/// <summary>How long what a <see cref="KeptAuthority"/> makes is good, and how long before its end a leaf is made anew.</summary>
public sealed record PkiLifetimes(TimeSpan Leaf, TimeSpan RenewBefore, TimeSpan Root)
{
    /// <summary>A root is followed by another in its last fifth, and two lives of a leaf must pass in that time.</summary>
    private const int LeavesInARoot = 10;

    /// <summary>One sentence on what is wrong; null when all is well.</summary>
    public string? Problem =>
        Leaf <= TimeSpan.Zero || RenewBefore <= TimeSpan.Zero || RenewBefore >= Leaf ? $"leaves that are good for {Leaf} cannot be renewed {RenewBefore} before their end"
        : Root < LeavesInARoot * Leaf ? $"roots that are good for {Root} are too short for leaves of {Leaf}: ten times as long is the least"
        : null;
}

/// <summary>A process that is to have a certificate.</summary>
public sealed record KeptLeaf(PeerRole Role, string Name, string Host);

/// <summary>
/// A tenant's roots where they are kept by a program that is run again and again: decides from what is kept and the time which roots there are, which of them issues, and which leaves are due.
/// Owns the keys while alive; what is to be kept goes in and comes out as PEM under <c>{n}.crt</c> and <c>{n}.key</c>, the newest with the highest number.
/// </summary>
/// <remarks>
/// In the last fifth of its life a root gets a successor, which everyone trusts at once, issues once a leaf's life has passed, and stands alone once another has: as with
/// <see cref="PkiFolder"/>, no connection fails at any step.
/// </remarks>
public sealed class KeptAuthority : IDisposable
{
    private readonly SortedDictionary<int, CertificateAuthority> _roots = [];
    private readonly CertificateAuthority _issuing;
    private readonly PkiLifetimes _lifetimes;
    private readonly TimeProvider _time;

    private KeptAuthority(string installation, TenantId tenant, IReadOnlyDictionary<string, string> kept, PkiLifetimes lifetimes, TimeProvider time)
    {
        (_lifetimes, _time) = (lifetimes, time);
        DateTimeOffset now = time.GetUtcNow();
        foreach (int number in Numbers(kept.Keys))
        {
            _roots[number] = Read(installation, tenant, kept, number, time);
        }

        int[] before = [.. _roots.Keys];
        foreach (int number in before.Where(number => _roots[number].Root.NotAfter <= now))
        {
            Drop(number);
        }

        if (_roots.Count == 0 || EndsSoon(_roots.Values.Last().Root, now))
        {
            _roots[before.LastOrDefault() + 1] = CertificateAuthority.Create(installation, tenant, lifetimes.Root, time);
        }

        int issuing = _roots.Keys.LastOrDefault(number => now - _roots[number].Root.NotBefore >= lifetimes.Leaf, _roots.Keys.First());
        _issuing = _roots[issuing];
        if (now - _issuing.Root.NotBefore >= 2 * lifetimes.Leaf)
        {
            foreach (int number in _roots.Keys.Where(number => number < issuing).ToArray())
            {
                Drop(number);
            }
        }

        IsChanged = !before.SequenceEqual(_roots.Keys);
    }

    /// <summary>Whether roots came or went, so that <see cref="Kept"/> must be stored before anything that is issued.</summary>
    public bool IsChanged { get; }

    /// <summary>Certificates and keys of the roots.</summary>
    public IReadOnlyDictionary<string, string> Kept => _roots
        .SelectMany(root => new[] { ($"{root.Key}.crt", Pem(root.Value.RootPem)), ($"{root.Key}.key", Pem(root.Value.RootKeyPem)) })
        .ToDictionary(pair => pair.Item1, pair => pair.Item2);

    /// <summary>What the cell's processes trust: all roots.</summary>
    public string Bundle => string.Concat(_roots.Values.Select(root => Pem(root.RootPem)));

    /// <summary>End of the root that issues.</summary>
    public DateTimeOffset RootEnds => _issuing.Root.NotAfter;

    /// <summary>Whether there is a root among entries of these names.</summary>
    public static bool HoldsRoots(IEnumerable<string> names) => Numbers(names).Any();

    /// <summary>Throws <see cref="InvalidDataException"/> with one sentence when what is kept cannot be used; it is never replaced then.</summary>
    public static KeptAuthority Open(string installation, TenantId tenant, IReadOnlyDictionary<string, string> kept, PkiLifetimes lifetimes, TimeProvider? time = null) =>
        lifetimes.Problem is { } problem ? throw new ArgumentException(problem) : new KeptAuthority(installation, tenant, kept, lifetimes, time ?? TimeProvider.System);

    /// <summary>A certificate and key for a process; null when its present ones are from the issuing root, for the same name and host, and good for longer than a renewal takes.</summary>
    public IssuedLeaf? Renew(KeptLeaf leaf, string? certificatePem, string? keyPem)
    {
        if (certificatePem is not null && keyPem is not null && IsGood(leaf, certificatePem, keyPem))
        {
            return null;
        }

        IssuedLeaf issued = _issuing.Issue(leaf.Role, leaf.Name, [leaf.Host], _lifetimes.Leaf);
        return new IssuedLeaf(Pem(issued.CertificatePem), Pem(issued.KeyPem));
    }

    public void Dispose()
    {
        foreach (CertificateAuthority root in _roots.Values)
        {
            root.Dispose();
        }
    }

    private bool IsGood(KeptLeaf leaf, string certificatePem, string keyPem)
    {
        try
        {
            DateTimeOffset now = _time.GetUtcNow();
            using var certificate = X509Certificate2.CreateFromPem(certificatePem, keyPem);
            PeerIdentity identity = new(_issuing.Installation, _issuing.Tenant, leaf.Role, leaf.Name);
            Refusal? refusal = CertificateRules.Check(certificate, new TrustedRoots([_issuing.Root], new HashSet<string>()), identity, [leaf.Role], peerIsServer: true, now.UtcDateTime, out PeerIdentity? named);
            return refusal is null && named == identity && certificate.NotAfter - now > _lifetimes.RenewBefore
                && certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(names => names.EnumerateDnsNames()).SequenceEqual([leaf.Host]);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return false; // what cannot be read is made anew
        }
    }

    private static CertificateAuthority Read(string installation, TenantId tenant, IReadOnlyDictionary<string, string> kept, int number, TimeProvider time)
    {
        try
        {
            return kept.TryGetValue($"{number}.key", out string? key)
                ? CertificateAuthority.FromPem(installation, tenant, kept[$"{number}.crt"], key, time)
                : throw new InvalidDataException($"root {number} of tenant '{tenant}' is kept without its key");
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"root {number} of tenant '{tenant}' cannot be used: {e.Message}");
        }
    }

    private static IEnumerable<int> Numbers(IEnumerable<string> names) => names
        .Select(name => int.TryParse(name.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int number) && name == $"{number}.crt" ? number : 0)
        .Where(number => number > 0);

    private static bool EndsSoon(X509Certificate2 root, DateTimeOffset now) => (root.NotAfter - now) * 5 < root.NotAfter - root.NotBefore;

    private static string Pem(string text) => text.TrimEnd() + "\n";

    private void Drop(int number)
    {
        _roots[number].Dispose();
        _roots.Remove(number);
    }
}
