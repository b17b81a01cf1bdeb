using System.Security.Cryptography;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A cell of two coordinators: one has the model's file and takes any, the other has none and runs only signed ones.</summary>
public sealed class TwoPoliciesTests : IAsyncDisposable
{
    private readonly TwoCoordinators _cell = TwoCoordinators.Create("lax", "strict");

    public ValueTask DisposeAsync() => _cell.DisposeAsync();

    [Trait("Attack", "M2")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Model_ThatAnotherCoordinatorImported_IsServedHereOnlyIfItIsSignedForThisOne(bool signed)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string keyPath = Path.Combine(_cell.Folder, "key.pub");
        await File.WriteAllTextAsync(keyPath, key.ExportSubjectPublicKeyInfoPem());
        string file = Path.Combine(_cell.Folder, "tiny.gguf");
        File.Copy(Repository.File("models/lamina-tiny-q8_0.gguf"), file);
        if (signed)
        {
            using ModelStore store = ModelStore.Open(Path.Combine(_cell.Folder, "digest"));
            BlobDigest digest = (await store.ImportAsync(file, null, CancellationToken.None)).Digest;
            await File.WriteAllBytesAsync(file + ModelStore.SignatureSuffix, ManifestSignature.Sign(digest, key).ToBytes());
        }

        await _cell.StartAsync((name, options) => options with
        {
            Models = [CellTests.Tiny(nodes: 1) with { Path = name == "lax" ? file : Path.Combine(_cell.Folder, "absent.gguf") }],
            Import = name == "lax" ? new ModelImportOptions { Sandbox = false } : new ModelImportOptions { Sandbox = false, LeastTrust = ModelTrust.Trusted, SigningKeys = [keyPath] },
        });
        (Cell lax, Cell strict) = (_cell["lax"], _cell["strict"]);
        if (signed)
        {
            await TwoCoordinators.UntilAsync(() => strict.FindModel("tiny") is not null);
            Assert.Equal(ModelTrust.Trusted, strict.FindModel("tiny")!.Stored.Trust);
            Assert.All((Cell[])[lax, strict], cell => Assert.False(cell.Deployments[0].Refused));
        }
        else
        {
            await TwoCoordinators.UntilAsync(() => strict.Deployments is [{ Refused: true, Problem: { } problem }] && problem.Contains("runs only trusted ones", StringComparison.Ordinal));
            Assert.Null(strict.FindModel("tiny"));
            Assert.NotNull(lax.FindModel("tiny"));

            // The owner decides for the whole cell what it deploys.
            await TwoCoordinators.UntilAsync(() => lax.Deployments is [{ } view] && view.Refused == (lax.OwnerOf("tiny") == "strict"));
        }
    }
}
