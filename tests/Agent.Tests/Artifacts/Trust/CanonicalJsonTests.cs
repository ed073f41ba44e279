using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Agent.Artifacts.Trust;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Artifacts.Trust;

public class CanonicalJsonTests
{
    [Theory]
    [InlineData("{}", "{}")]
    [InlineData("[ ]", "[]")]
    [InlineData("""{"b": [1, -2, 0], "a": {"c": null, "B": true, "": false}}""", """{"a":{"":false,"B":true,"c":null},"b":[1,-2,0]}""")]
    [InlineData("""{"text": "quote \" back \\ slash \/ tab \u0009 e \u00e9"}""", "{\"text\":\"quote \\\" back \\\\ slash / tab \t e é\"}")]
    [InlineData("9223372036854775807", "9223372036854775807")]
    public void Has_the_known_form(string json, string canonical) => Assert.Equal(canonical, Encode(json));

    [Fact]
    public void Sorts_by_code_point_and_not_by_utf16_unit() =>
        // U+FF61 comes before U+1F600, whose first UTF-16 unit (D83D) is lower.
        Assert.Equal("{\"\uff61\":1,\"\U0001F600\":2}", Encode("{\"\U0001F600\":2,\"\uff61\":1}"));

    [Theory]
    [InlineData("1.0")]
    [InlineData("1e3")]
    [InlineData("-0")]
    [InlineData("9223372036854775808")]
    [InlineData("""["\ud800"]""")]
    [InlineData("""{"\udc00": 1}""")]
    public void Refuses_what_has_no_one_form(string json) => Assert.Throws<FormatException>(() => Encode(json));

    [Fact]
    public void Is_the_same_for_any_order_of_members_and_for_its_own_output()
    {
        Gen<JsonNode?> tree = Gen.Sized(size => Tree(Math.Min(size, 24)));
        Prop.ForAll(tree.ToArbitrary(), node =>
        {
            string straight = Encode(node?.ToJsonString() ?? "null");
            string reversed = Encode(Reverse(node)?.ToJsonString() ?? "null");
            return straight == reversed && Encode(straight) == straight;
        }).QuickCheckThrowOnFailure();
    }

    private static string Encode(string json) => Encoding.UTF8.GetString(CanonicalJson.Encode(JsonElement.Parse(json)));

    // Without control characters: raw ones are canonical but no JSON, so could not be read again.
    private static Gen<string> Text() => Gen.Elements('a', 'b', '"', '\\', '/', 'é', '\uff61', ' ').ArrayOf().Select(chars => new string(chars))
        .SelectMany(text => Gen.Elements("", "\U0001F600").Select(tail => text + tail));

    private static Gen<JsonNode?> Tree(int size)
    {
        Gen<JsonNode?> leaf = Gen.OneOf(
            ArbMap.Default.GeneratorFor<long>().Select(number => (JsonNode?)number),
            Text().Select(text => (JsonNode?)text),
            Gen.Elements<JsonNode?>(null, true, false).Select(node => node?.DeepClone()));
        if (size <= 1) return leaf;
        return Gen.OneOf(
            leaf,
            Tree(size / 3).ListOf(3).Select(items => (JsonNode?)new JsonArray([.. items.Select(item => item?.DeepClone())])),
            Gen.Zip(Text().ListOf(3), Tree(size / 3).ListOf(3)).Select(pair =>
            {
                var members = new JsonObject();
                foreach ((string name, JsonNode? value) in pair.Item1.Zip(pair.Item2)) members[name] = value?.DeepClone();
                return (JsonNode?)members;
            }));
    }

    private static JsonNode? Reverse(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.Reverse().Select(member => KeyValuePair.Create(member.Key, Reverse(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Reverse)]),
        _ => node?.DeepClone(),
    };
}
