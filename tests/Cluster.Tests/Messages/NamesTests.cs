using System.Text.RegularExpressions;
using CsCheck;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Tests.Messages;

public sealed partial class NamesTests
{
    [Trait("Attack", "C8")]
    [Fact]
    public void IsValid_AnyString_AgreesWithThePattern() =>
        Gen.OneOf(Gen.String[Gen.Char["abz09-.A/_é\n"], 0, 66], Gen.String).Sample(name => Names.IsValid(name) == Pattern().IsMatch(name));

    [Theory]
    [InlineData("spiffe://x/tenant/t/node/n", true)]
    [InlineData("spiffe://x.y/tenant/t/coordinator/n", true)]
    [InlineData("spiffe://x/tenant/t/node/n/", false)]
    [InlineData("spiffe://x/tenant/t/node/", false)]
    [InlineData("spiffe://x/tenant//node/n", false)]
    [InlineData("spiffe://x/tenant/t/node/n#f", false)]
    [InlineData("spiffe://x:1/tenant/t/node/n", false)]
    [InlineData("spiffe://u@x/tenant/t/node/n", false)]
    [InlineData("SPIFFE://x/tenant/t/node/n", false)]
    [InlineData("spiffe://x/tenant/t/Node/n", false)]
    [InlineData("https://x/tenant/t/node/n", false)]
    [InlineData("spiffe://x/tenant/t%2f/node/n", false)]
    public void TryParse_Uri_OnlyTheExactForm(string uri, bool expected)
    {
        Assert.Equal(expected, PeerIdentity.TryParse(uri, out PeerIdentity? identity));
        Assert.Equal(expected ? uri : null, identity?.Uri);
    }

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
