using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;

namespace Lamina.Node.Tests.Support;

/// <summary>A model taken apart into blobs, as a coordinator's store holds it.</summary>
internal sealed class TestStore : IBlobStore, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-store-").FullName;

    public TestStore(GgufFile model)
    {
        byte[] header = GgufHeaders.WithoutTokenizer(model.Metadata);
        byte[] vocabulary = GgufHeaders.TokenizerAlone(model.Metadata);
        Manifest = new ModelManifest(
            ModelManifest.CurrentVersion,
            new ManifestBlob(Add(header), header.Length),
            new ManifestBlob(Add(vocabulary), vocabulary.Length),
            [.. model.Tensors.Select(t => new ManifestTensor(t.Name, t.Type, t.Dimensions, t.ByteLength, Add(t.RowBytes(0, (int)t.Rows).ToArray())))]);
        ModelDigest = Add(Manifest.ToBytes());
    }

    public ModelManifest Manifest { get; }

    public string ModelDigest { get; }

    public int Opened { get; private set; }

    /// <summary>Blobs whose bytes come out wrong.</summary>
    public HashSet<string> Damaged { get; } = [];

    public BlobReader? TryOpen(BlobDigest digest)
    {
        string path = Path.Combine(_folder, digest.ToString());
        Opened++;
        if (Damaged.Contains(digest.ToString()))
        {
            byte[] bytes = File.ReadAllBytes(path);
            bytes[^1] ^= 1;
            path += ".damaged";
            File.WriteAllBytes(path, bytes);
        }

        return File.Exists(path) ? new BlobReader(File.OpenHandle(path), 0, new FileInfo(path).Length) : null;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Add(byte[] content)
    {
        string digest = BlobDigest.Of(content).ToString();
        File.WriteAllBytes(Path.Combine(_folder, digest), content);
        return digest;
    }
}
