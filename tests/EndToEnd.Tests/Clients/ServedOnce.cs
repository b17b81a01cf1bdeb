namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>One <c>lamina serve</c> for all tests of clients that need no more than the built-in model.</summary>
[CollectionDefinition(Name)]
public sealed class ServedOnce : ICollectionFixture<ServedModel>
{
    public const string Name = "served once";
}
