using Lamina.Cluster.Messages;
using Lamina.Node.Hosting;

namespace Lamina.Node.Tests.Hosting;

public class NodeOptionsTests
{
    private static readonly NodeOptions s_sound = new()
    {
        Tenant = new TenantId("acme"), Name = new NodeName("n1"), CertificatePath = "c", KeyPath = "k", TrustBundlePath = "t",
        Seeds = [new Endpoint("10.0.0.1", 4000)], CachePath = "cache",
    };

    [Fact]
    public void Options_ThatAreSound_Pass() => NodeOptionsValidator.Validate(s_sound);

    [Fact]
    public void Options_WithAnUnusableValue_AreRefusedNamingKeyValueAndWhatIsAllowed()
    {
        Refuses("Node:Name is N 1, allowed is 1 to 63 lower-case letters", s_sound with { Name = new NodeName("N 1") });
        Refuses("Node:Tenant is missing", s_sound with { Tenant = default });
        Refuses("Node:Seeds is empty, allowed is the control endpoint of at least one coordinator", s_sound with { Seeds = [] });
        Refuses("Node:Seeds is 10.0.0.1:0, allowed is host:port", s_sound with { Seeds = [new Endpoint("10.0.0.1", 0)] });
        Refuses("Node:LinkPort is 70000, allowed is 0 (a free one) to 65535", s_sound with { LinkPort = 70_000 });
        Refuses("Node:LinkPort is 5000, allowed is another port than ControlPort", s_sound with { LinkPort = 5000, ControlPort = 5000 });
        Refuses("Node:BindAddress is 0.0.0.0, allowed is an address of this machine, or any with PublicHost set", s_sound with { BindAddress = "0.0.0.0" });
        Refuses("Node:Threads is -1", s_sound with { Threads = -1 });
        Refuses("Node:MemoryBytes is -5", s_sound with { MemoryBytes = -5 });
        Refuses("Node:CachePath is empty", s_sound with { CachePath = " " });
    }

    [Trait("Attack", "R3")]
    [Theory]
    [InlineData("8589934592\n", 8_589_934_592L), InlineData("max\n", null), InlineData("", null)]
    public void ReadLimit_OfAControlGroup_IsANumberOrNone(string content, long? limit)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, content);
        Assert.Equal(limit, MachineMemory.ReadLimit(path));
        File.Delete(path);
        Assert.Null(MachineMemory.ReadLimit(path));
    }

    private static void Refuses(string sentence, NodeOptions options) =>
        Assert.Contains(sentence, Assert.Throws<ArgumentException>(() => NodeOptionsValidator.Validate(options)).Message, StringComparison.Ordinal);
}
