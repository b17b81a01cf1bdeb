using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Tests.Identity;

/// <summary>Roots and leaves that a program keeps by running now and then: many lives of a root, in passes of some hours.</summary>
public sealed class KeptAuthorityTests
{
    private static readonly TenantId s_tenant = new("acme");
    private static readonly KeptLeaf s_leaf = new(PeerRole.Node, "worker-0", "worker-0.worker.ns.svc");
    private static readonly PkiLifetimes s_lifetimes = new(TimeSpan.FromDays(1), TimeSpan.FromHours(8), TimeSpan.FromDays(20));

    private readonly Clock _clock = new();
    private IReadOnlyDictionary<string, string> _kept = new Dictionary<string, string>();
    private IssuedLeaf? _issued;

    [Fact]
    public void Passes_OverALongTime_ReplaceLeavesAndRootsWithoutAMomentWhenOnePeerRefusesAnother()
    {
        int roots = 0, leaves = 0;
        string bundle = "";
        IssuedLeaf? before = null;
        for (int hour = 0; hour < 24 * 60; hour += 5)
        {
            (bool changed, string now) = Pass();
            roots += changed ? 1 : 0;
            leaves += before == _issued ? 0 : 1;

            // A process may still hold the leaf, or the bundle, of the pass before.
            foreach (IssuedLeaf leaf in new[] { before ?? _issued!, _issued! })
            {
                Assert.True(Trusts(now, leaf) && Trusts(bundle.Length > 0 ? bundle : now, leaf), $"in hour {hour}");
            }

            Assert.InRange(_kept.Count, 2, 4);
            (bundle, before) = (now, _issued);
            _clock.Now += TimeSpan.FromHours(5);
        }

        Assert.Equal(7, roots); // one at first, then every sixteen days one comes, and two days later one goes
        Assert.InRange(leaves, 60, 90); // a leaf serves between sixteen hours and a day
    }

    [Fact]
    public void Pass_AfterEverythingHasEnded_BeginsAnew()
    {
        Pass();
        _clock.Now += TimeSpan.FromDays(200);
        (bool changed, string bundle) = Pass();
        Assert.True(changed);
        Assert.Equal(["2.crt", "2.key"], _kept.Keys.Order(StringComparer.Ordinal));
        Assert.True(Trusts(bundle, _issued!));
    }

    [Fact]
    public void Leaf_OfAnotherNameHostOrKey_IsMadeAnew()
    {
        Pass();
        using KeptAuthority authority = KeptAuthority.Open("lamina", s_tenant, _kept, s_lifetimes, _clock);
        Assert.Null(authority.Renew(s_leaf, _issued!.CertificatePem, _issued.KeyPem));
        IssuedLeaf other = authority.Renew(s_leaf with { Name = "worker-1" }, _issued.CertificatePem, _issued.KeyPem)!;
        Assert.NotNull(authority.Renew(s_leaf with { Host = "elsewhere" }, _issued.CertificatePem, _issued.KeyPem));
        Assert.NotNull(authority.Renew(s_leaf with { Role = PeerRole.Coordinator }, _issued.CertificatePem, _issued.KeyPem));
        Assert.NotNull(authority.Renew(s_leaf, _issued.CertificatePem, other.KeyPem));
        Assert.NotNull(authority.Renew(s_leaf, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", _issued.KeyPem));
        Assert.NotNull(authority.Renew(s_leaf, _issued.CertificatePem, null));
        using KeptAuthority elsewhere = KeptAuthority.Open("other", s_tenant, _kept, s_lifetimes, _clock);
        Assert.NotNull(elsewhere.Renew(s_leaf, _issued.CertificatePem, _issued.KeyPem));
    }

    [Fact]
    public void Roots_ThatCannotBeUsed_AreRefusedAndNotReplaced()
    {
        Pass();
        Assert.Throws<InvalidDataException>(() => KeptAuthority.Open("lamina", s_tenant, new Dictionary<string, string> { ["1.crt"] = _kept["1.crt"] }, s_lifetimes, _clock));
        Assert.Throws<InvalidDataException>(() => KeptAuthority.Open("lamina", s_tenant, new Dictionary<string, string> { ["1.crt"] = _kept["1.crt"], ["1.key"] = "none" }, s_lifetimes, _clock));
        Assert.Throws<ArgumentException>(() => KeptAuthority.Open("lamina", s_tenant, _kept, s_lifetimes with { RenewBefore = TimeSpan.FromDays(1) }, _clock));
        Assert.Throws<ArgumentException>(() => KeptAuthority.Open("lamina", s_tenant, _kept, s_lifetimes with { Root = TimeSpan.FromDays(9) }, _clock));
        Assert.False(KeptAuthority.HoldsRoots(["01.crt", "ca.crt", "1.key", "tls.crt", "0.crt", "-1.crt"]));
        Assert.True(KeptAuthority.HoldsRoots(["12.crt"]));
    }

    private (bool Changed, string Bundle) Pass()
    {
        using KeptAuthority authority = KeptAuthority.Open("lamina", s_tenant, _kept, s_lifetimes, _clock);
        _kept = authority.Kept;
        _issued = authority.Renew(s_leaf, _issued?.CertificatePem, _issued?.KeyPem) ?? _issued;
        return (authority.IsChanged, authority.Bundle);
    }

    private bool Trusts(string bundle, IssuedLeaf leaf)
    {
        X509Certificate2Collection roots = [];
        roots.ImportFromPem(bundle);
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(leaf.CertificatePem, leaf.KeyPem);
        PeerIdentity self = new("lamina", s_tenant, PeerRole.Node, s_leaf.Name);
        return CertificateRules.Check(certificate, new TrustedRoots(roots, new HashSet<string>()), self, [PeerRole.Node], peerIsServer: true, _clock.Now.UtcDateTime, out _) is null;
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
