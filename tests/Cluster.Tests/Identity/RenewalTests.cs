using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Identity;

public sealed class RenewalTests : IDisposable
{
    private static readonly NodeName s_worker = new("worker");

    private readonly TestCell _cell = new();
    private readonly TestCell _foreign = new("globex");
    private readonly TestFolder _folder = new();
    private readonly CertificateProvider _front;
    private readonly CellIssuer _issuer;

    public RenewalTests()
    {
        _front = _cell.Coordinator("front");
        _issuer = Issuer(_cell, _front);
    }

    public void Dispose()
    {
        _cell.Dispose();
        _foreign.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Node_NearItsCertificatesEnd_GetsAnotherForTheSameNameAndHosts()
    {
        (CertificateFiles files, CertificateProvider certificates) = ShortLived("worker", TimeSpan.FromMinutes(1));
        using var renewal = new LeafRenewal(files, certificates, TimeProvider.System);
        string key = File.ReadAllText(files.KeyPath);

        (string certificate, string request) = renewal.Ask()!.Value;
        renewal.Take(_issuer.Renew(s_worker, certificate, request));

        Assert.Equal("spiffe://test.lamina/tenant/acme/node/worker", certificates.Self.Uri);
        Assert.InRange(certificates.NotAfter, DateTimeOffset.Now.AddHours(23), DateTimeOffset.Now.AddHours(25));
        Assert.NotEqual(key, File.ReadAllText(files.KeyPath));
        Assert.Equal(["127.0.0.1", "localhost"], IssuedCertificate.Read(files.CertificatePath).Hosts.Order());
        Assert.Null(certificates.ReloadProblem);
        Assert.False(renewal.IsDue);
        Assert.Null(renewal.Ask());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(files.KeyPath));
        }
    }

    [Fact]
    public void Ask_WithTimeLeftOrJustAsked_DoesNot()
    {
        (CertificateFiles files, CertificateProvider certificates) = ShortLived("worker", TimeSpan.FromHours(24));
        using var early = new LeafRenewal(files, certificates, TimeProvider.System);
        Assert.Null(early.Ask());

        (files, certificates) = ShortLived("worker", TimeSpan.FromMinutes(1));
        using var due = new LeafRenewal(files, certificates, TimeProvider.System);
        Assert.NotNull(due.Ask());
        Assert.Null(due.Ask());
    }

    /// <summary>What an authenticated but malicious node might send, and what a stranger's texts would be.</summary>
    [Fact]
    [Trait("Attack", "B7")]
    public void Renew_WhatIsNotTheAskersOwn_IsRefused()
    {
        string own = _cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/worker"]).ExportCertificatePem();
        string request = Request(ECCurve.NamedCurves.nistP256);
        _issuer.Renew(s_worker, own, request);

        (string Certificate, string Request)[] wrong =
        [
            (_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/other"]).ExportCertificatePem(), request),
            (_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/coordinator/worker"]).ExportCertificatePem(), request),
            (_cell.Leaf(uris: ["spiffe://test.lamina/tenant/globex/node/worker"]).ExportCertificatePem(), request),
            (_foreign.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/worker"]).ExportCertificatePem(), request),
            (_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/worker"], notBefore: TimeSpan.FromMinutes(-9), notAfter: TimeSpan.FromMinutes(-1)).ExportCertificatePem(), request),
            (_cell.Authority.RootPem, request),
            ("nothing", request),
            (own, "nothing"),
            (own, own),
            (own, Request(ECCurve.NamedCurves.nistP384)),
            (own, Tampered(request)),
        ];
        foreach ((string certificate, string asked) in wrong)
        {
            Assert.Throws<InvalidDataException>(() => _issuer.Renew(s_worker, certificate, asked));
        }
    }

    [Fact]
    public void Renew_HostsAndNamesThatTheRequestAsksFor_AreNotGiven()
    {
        string own = _cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/worker"]).ExportCertificatePem();
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=front", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://test.lamina/tenant/acme/coordinator/front"));
        names.AddDnsName("front.example");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(X509BasicConstraintsExtension.CreateForCertificateAuthority());

        string issued = Path.Combine(_folder.Path, "issued.crt");
        File.WriteAllText(issued, _issuer.Renew(s_worker, own, request.CreateSigningRequestPem()));
        IssuedCertificate read = IssuedCertificate.Read(issued);

        Assert.Equal("spiffe://test.lamina/tenant/acme/node/worker", read.Identity!.Uri);
        Assert.DoesNotContain("front.example", read.Hosts);
        Assert.Equal("CN=worker", read.Subject);
    }

    [Fact]
    public void Take_WhatWasNotAskedFor_IsRefusedAndNothingWritten()
    {
        (CertificateFiles files, CertificateProvider certificates) = ShortLived("worker", TimeSpan.FromMinutes(1));
        using var renewal = new LeafRenewal(files, certificates, TimeProvider.System);
        string before = File.ReadAllText(files.CertificatePath);
        Assert.Throws<InvalidDataException>(() => renewal.Take(before));

        (_, string request) = renewal.Ask()!.Value;
        using ECDsa asked = CertificateRequest.LoadSigningRequestPem(request, HashAlgorithmName.SHA256).PublicKey.GetECDsaPublicKey()!;
        Assert.Throws<InvalidDataException>(() => renewal.Take("nothing"));
        Assert.Throws<InvalidDataException>(() => renewal.Take(before));
        Assert.Throws<InvalidDataException>(() => renewal.Take(_cell.Authority.Issue(PeerRole.Node, "other", TestCell.Loopback, asked)));
        Assert.Throws<InvalidDataException>(() => renewal.Take(_foreign.Authority.Issue(PeerRole.Node, "worker", TestCell.Loopback, asked)));
        Assert.Equal(before, File.ReadAllText(files.CertificatePath));

        renewal.Take(_cell.Authority.Issue(PeerRole.Node, "worker", TestCell.Loopback, asked));
        Assert.NotEqual(before, File.ReadAllText(files.CertificatePath));
    }

    [Fact]
    public void Check_ARootThatTheCellDoesNotTrust_IsRefused()
    {
        _issuer.Check();

        Assert.Throws<InvalidDataException>(() => Issuer(_foreign, _front).Check());
        Assert.Throws<InvalidDataException>(() => new CellIssuer(RootFiles.Pair("/nowhere.crt", "/nowhere.key"), _front, TimeProvider.System).Check());
    }

    private CellIssuer Issuer(TestCell cell, CertificateProvider certificates)
    {
        string path = Path.Combine(_folder.Path, Guid.NewGuid().ToString("n"));
        cell.Authority.Save(path + ".crt", path + ".key");
        return new CellIssuer(RootFiles.Pair(path + ".crt", path + ".key"), certificates, TimeProvider.System);
    }

    private (CertificateFiles Files, CertificateProvider Certificates) ShortLived(string name, TimeSpan lifetime)
    {
        CertificateFiles files = _cell.Authority.Issue(PeerRole.Node, name, TestCell.Loopback, lifetime).Save(Path.Combine(_folder.Path, Guid.NewGuid().ToString("n")), _cell.Authority.RootPem);
        return (files, CertificateProvider.FromFiles(files));
    }

    private static string Request(ECCurve curve)
    {
        using ECDsa key = ECDsa.Create(curve);
        return new CertificateRequest("CN=worker", key, HashAlgorithmName.SHA256).CreateSigningRequestPem();
    }

    /// <summary>With another signature, so that it proves nothing.</summary>
    private static string Tampered(string pem)
    {
        byte[] der = Convert.FromBase64String(string.Concat(pem.Split('\n').Where(line => !line.StartsWith('-'))));
        der[^1] ^= 1;
        return PemEncoding.WriteString("CERTIFICATE REQUEST", der);
    }
}
