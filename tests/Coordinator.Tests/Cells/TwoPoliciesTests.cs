using System.Security.Cryptography;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A cell of two coordinators: one has the model's file and takes any, the other has none and runs only signed ones.</summary>
public sealed class TwoPoliciesTests : IAsyncDisposable
{
    private static readonly string[] s_fronts = ["lax", "strict"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-policies-").FullName;
    private readonly EphemeralPki _pki;
    private readonly Endpoint[] _seeds = [.. s_fronts.Select(_ => new Endpoint("127.0.0.1", FreePorts.Take()))];
    private readonly Dictionary<string, CoordinatorHost> _coordinators = [];

    public TwoPoliciesTests() => _pki = EphemeralPki.Create(Path.Combine(_folder, "pki"), TestCoordinator.Tenant, s_fronts, []);

    public async ValueTask DisposeAsync()
    {
        foreach (CoordinatorHost coordinator in _coordinators.Values)
        {
            await coordinator.DisposeAsync();
        }

        _pki.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Trait("Attack", "M2")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Model_ThatAnotherCoordinatorImported_IsServedHereOnlyIfItIsSignedForThisOne(bool signed)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string keyPath = Path.Combine(_folder, "key.pub");
        await File.WriteAllTextAsync(keyPath, key.ExportSubjectPublicKeyInfoPem());
        string file = Path.Combine(_folder, "tiny.gguf");
        File.Copy(Repository.File("models/lamina-tiny-q8_0.gguf"), file);
        if (signed)
        {
            using ModelStore store = ModelStore.Open(Path.Combine(_folder, "digest"));
            BlobDigest digest = (await store.ImportAsync(file, null, CancellationToken.None)).Digest;
            await File.WriteAllBytesAsync(file + ModelStore.SignatureSuffix, ManifestSignature.Sign(digest, key).ToBytes());
        }

        await Task.WhenAll(
            StartAsync("lax", _seeds[0], file, new ModelImportOptions { Sandbox = false }),
            StartAsync("strict", _seeds[1], Path.Combine(_folder, "absent.gguf"), new ModelImportOptions { Sandbox = false, LeastTrust = ModelTrust.Trusted, SigningKeys = [keyPath] }));
        Cell strict = _coordinators["strict"].Cells[0];
        if (signed)
        {
            await UntilAsync(() => strict.FindModel("tiny") is not null);
            Assert.Equal(ModelTrust.Trusted, strict.FindModel("tiny")!.Stored.Trust);
            Assert.False(strict.Deployments[0].Refused);
        }
        else
        {
            await UntilAsync(() => strict.Deployments is [{ Refused: true, Problem: { } problem }] && problem.Contains("runs only trusted ones", StringComparison.Ordinal));
            Assert.Null(strict.FindModel("tiny"));
            Assert.NotNull(_coordinators["lax"].Cells[0].FindModel("tiny"));
        }
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        while (!holds())
        {
            await Task.Delay(10, deadline.Token);
        }
    }

    private async Task StartAsync(string name, Endpoint control, string file, ModelImportOptions import)
    {
        CertificateFiles files = _pki.Files(PeerRole.Coordinator, name);
        CoordinatorHost host = await CoordinatorHost.StartAsync(
            new CoordinatorOptions
            {
                Listen = "127.0.0.1:0",
                StorePath = Path.Combine(_folder, name),
                Cells =
                [
                    new CellOptions
                    {
                        Tenant = TestCoordinator.Tenant, Name = name, CertificatePath = files.CertificatePath, KeyPath = files.KeyPath, TrustBundlePath = files.TrustBundlePath,
                        ControlPort = control.Port, Seeds = _seeds, Models = [CellTests.Tiny(nodes: 1) with { Path = file }], Import = import,
                    },
                ],
            },
            NullLoggerFactory.Instance,
            CancellationToken.None);
        lock (_coordinators)
        {
            _coordinators[name] = host;
        }
    }
}
